"""Uploading through us: the bytes go to storage as they arrive, and never lie in memory as a whole.

No client ever holds a URL for the place, so nothing needs to be frozen: the object is written where it stays,
or where uploads are staged if its metadata is then removed.
Its row and the promise to remove it come first; what breaks off leaves the promise alone, and soon nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from imgproxy.errors import BodyTooLarge, FilesError, ImgproxyError, StorageSlow
from imgproxy.files import outbox_tasks
from imgproxy.files.collections import CollectionLimits, check_type
from imgproxy.files.database import Database
from imgproxy.files.fields import FileValues
from imgproxy.files.finalize import (
    ContentInspector,
    DeclaredContent,
    Finalizer,
    made,
    type_of,
)
from imgproxy.files.id_generator import IdGenerator
from imgproxy.files.model import Collection, File, Task, Upload, UploadState
from imgproxy.files.principal import Principal
from imgproxy.files.sniff import SNIFFED_BYTES
from imgproxy.files.upload_lease import UploadLease, discard, insert_leased, new_lease
from imgproxy.files.uploads import UploadRequest, draw_upload
from imgproxy.storage import Storage

_SECONDS = 3600
"""For all of a body; 5 GB come at 1.4 MB/s."""


class StreamedUploads:
    """Stores files that are sent to us."""

    def __init__(
        self,
        *,
        database: Database,
        objects: Storage,
        inspector: ContentInspector,
        limits: CollectionLimits,
        ids: IdGenerator,
        finalizer: Finalizer,
    ) -> None:
        self._database = database
        self._objects = objects
        self._inspector = inspector
        self._limits = limits
        self._ids = ids
        self._finalizer = finalizer

    async def store(
        self,
        principal: Principal,
        request: UploadRequest,
        chunks: AsyncIterator[bytes],
        details: Callable[[], FileValues],
        *,
        at_least: int = 0,
    ) -> File:
        """Store a file as it arrives; `details` are asked for when its last chunk is here.

        Raise a `FilesError`, `BodyTooLarge` as soon as more bytes come than the collection takes (at once if
        `at_least` is more), a `SourceError` when storage fails, and whatever `chunks` raise.
        """
        first = await _begin_of(chunks)
        kind = await type_of(first, _claimed(request))
        collection = await self._limits.choose(principal.tenant, category=request.category, mime_type=kind)
        check_type(collection, kind)
        _refuse_above(at_least, collection)
        lease = new_lease(self._ids, principal.tenant, patience_ms=_SECONDS * 1000)
        upload = self._drawn(principal, replace(request, mime_type=kind), collection, lease)
        staged = self._staged(upload, lease)
        await self._database.write(partial(insert_leased, upload=upload, lease=lease, staged=staged))
        try:
            async with asyncio.timeout(_SECONDS):
                file = await self._stored(upload, lease, _bounded(first, chunks, collection), details)
            await self._finalizer.publish(upload, lease, file, to=UploadState.CONSUMED)
        except BaseException as error:
            await asyncio.shield(self._drop(upload, lease, over=isinstance(error, FilesError)))
            if isinstance(error, TimeoutError):
                raise StorageSlow(f"the file did not arrive within {_SECONDS} seconds") from error
            raise
        return file

    async def _stored(
        self,
        upload: Upload,
        lease: UploadLease,
        chunks: AsyncIterator[bytes],
        details: Callable[[], FileValues],
    ) -> File:
        head = await self._objects.put(upload.staging_key, chunks, content_type=upload.declared_type)
        given = details()
        collection = await self._limits.named(upload.tenant, upload.collection)
        declared = DeclaredContent(upload.declared_name, (upload.declared_type or "",))
        if upload.staging_key == lease.object_key:
            found = await self._inspector.inspect(lease.object_key, head, declared, collection)
        else:
            found = await self._finalizer.copied(
                upload.staging_key, head, lease.object_key, declared, collection
            )
        return made(upload, lease, given, found, now=self._ids.clock())

    def _drawn(
        self, principal: Principal, request: UploadRequest, collection: Collection, lease: UploadLease
    ) -> Upload:
        """An upload that we are completing already, to where the file will be, or to be stripped first."""
        upload = draw_upload(self._ids, principal, request, collection, kind="stream", seconds=_SECONDS)
        return replace(
            upload,
            staging_key=upload.staging_key if self._finalizer.strips(request.mime_type) else lease.object_key,
            state=UploadState.COMPLETING,
            file_id=lease.file_id,
            claimed_at=upload.created_at,
        )

    def _staged(self, upload: Upload, lease: UploadLease) -> Task | None:
        """The promise to remove what is staged, if anything is."""
        if upload.staging_key == lease.object_key:
            return None
        at = lease.removal.not_before
        return outbox_tasks.delete_object(self._ids, upload.tenant, upload.staging_key, at=at)

    async def _drop(self, upload: Upload, lease: UploadLease, *, over: bool) -> None:
        now = self._ids.clock()
        with suppress(ImgproxyError):  # then the promises are kept later, and the row swept
            if over and upload.staging_key != lease.object_key:
                await self._objects.delete(upload.staging_key)
            await self._database.write(partial(discard, upload=upload, lease=lease, over=over, now=now))


def _claimed(request: UploadRequest) -> DeclaredContent:
    return DeclaredContent(request.name, (request.mime_type,))


async def _begin_of(chunks: AsyncIterator[bytes]) -> bytes:
    """The first bytes, as many as a type is told by."""
    first = b""
    while len(first) < SNIFFED_BYTES:
        chunk = await anext(chunks, b"")
        if not chunk:
            break
        first += chunk
    return first


async def _bounded(
    first: bytes, chunks: AsyncIterator[bytes], collection: Collection
) -> AsyncIterator[bytes]:
    """Yield the bytes; raise `BodyTooLarge` at the first that is too many."""
    size = len(first)
    _refuse_above(size, collection)
    yield first
    async for chunk in chunks:
        size += len(chunk)
        _refuse_above(size, collection)
        yield chunk


def _refuse_above(size: int, collection: Collection) -> None:
    if size > collection.max_size:
        raise BodyTooLarge(f"{collection.name} takes at most {collection.max_size} bytes")
