"""Finalizing of uploads: from bytes that a client may overwrite to a file whose bytes never change.

claim     see `hold`
copy      within storage, to a place that no client ever held a URL for; images without personal metadata
examine   the copy: size, type, sides
publish   the file is there; what lies at the place that clients can write to is to be removed
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

from imgproxy.errors import (
    Conflict,
    FileNotFound,
    FilesError,
    FileTooLarge,
    ImageError,
    ImgproxyError,
    InvalidFormat,
    NotFound,
    SourceTooLarge,
    StorageSlow,
)
from imgproxy.files import outbox_tasks
from imgproxy.files.collections import CollectionLimits, check_size, check_type, size_limit
from imgproxy.files.database import Database
from imgproxy.files.fields import FileValues
from imgproxy.files.id_generator import IdGenerator
from imgproxy.files.mime_types import settle, weigh
from imgproxy.files.model import Collection, File, FileState, Upload, UploadState
from imgproxy.files.object_storage import Inspector, Stripper
from imgproxy.files.sniff import SNIFFED_BYTES, sniff
from imgproxy.files.upload_lease import LEASE_MS, UploadLease, commit, release
from imgproxy.image.formats import TRAITS
from imgproxy.image.source import Key
from imgproxy.storage import Head, Storage

_MEASURED = frozenset(traits.mime for traits in TRAITS.values() if traits.mime.startswith("image/"))
"""A PDF is a document: one that we cannot draw, with a password say, is a file all the same."""


@dataclass(frozen=True, slots=True)
class DeclaredContent:
    """Types and sizes that a client has declared; each is compared with the bytes."""

    name: str
    mime_types: tuple[str, ...]
    """All must be compatible; the last one decides where the bytes do not."""
    sizes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Inspection:
    """Facts of the bytes."""

    size: int
    version: str
    mime_type: str
    width: int | None = None
    height: int | None = None


class ContentInspector:
    """Inspects objects that no client can write to."""

    def __init__(self, objects: Storage, inspector: Inspector) -> None:
        self._objects = objects
        self._inspector = inspector

    async def inspect(
        self, key: Key, head: Head, declared: DeclaredContent, collection: Collection
    ) -> Inspection:
        """Return the facts of an object; raise a `FilesError` if they are not as declared or allowed."""
        check_weight(head.size, declared, collection)
        kind = await self.kind(key, declared)
        check_type(collection, kind)
        width, height = await self._sides(key, head, kind)
        return Inspection(head.size, head.version, kind, width, height)

    async def kind(self, key: Key, declared: DeclaredContent) -> str:
        """Return the type of an object; raise `InvalidFormat` for a lie."""
        return await type_of(await self._first_bytes(key), declared)

    async def _first_bytes(self, key: Key) -> bytes:
        # whatever streams can be closed: only the type of `read` does not say so
        stream = cast("Any", self._objects.read(key, end=SNIFFED_BYTES))
        async with aclosing(stream) as chunks:
            return b"".join([chunk async for chunk in chunks])

    async def _sides(self, key: Key, head: Head, kind: str) -> tuple[int | None, int | None]:
        if kind not in _MEASURED:
            return None, None
        try:
            return await self._inspector.inspect(key, head.version, head.size) or (None, None)
        except ImageError as error:
            raise InvalidFormat(f"the file cannot be read as {kind}: {error}") from error


async def type_of(first: bytes, declared: DeclaredContent) -> str:
    """The type of a file that begins so; raise `InvalidFormat` for a lie."""
    found = await asyncio.to_thread(sniff, first, declared.name)
    kinds = [settle(said, found) for said in declared.mime_types]
    return kinds[-1] if kinds else found


def check_weight(size: int, declared: DeclaredContent, collection: Collection) -> None:
    """Raise `FileTooLarge` or `FileTooSmall` for a size that was not told, or that is not taken."""
    weigh(size, declared.sizes)
    check_size(collection, size)


_SECONDS = LEASE_MS / 1000 - 30

Tell = Callable[[Key], Awaitable[None]]
"""Have every edge forget what it knows of a key; when this returns, they have."""


class Finalizer:
    """Makes files of uploads that are held."""

    def __init__(
        self,
        *,
        database: Database,
        objects: Storage,
        inspector: ContentInspector,
        limits: CollectionLimits,
        ids: IdGenerator,
        tell: Tell,
        stripper: Stripper | None = None,
    ) -> None:
        """Personal metadata of images stays unless there is a `stripper`."""
        self._database = database
        self._objects = objects
        self._inspector = inspector
        self._limits = limits
        self._ids = ids
        self._tell = tell
        self._stripper = stripper

    def strips(self, mime_type: str) -> bool:
        """Return whether personal metadata of files of a type is removed."""
        return self._stripper is not None and self._stripper.takes(mime_type)

    async def finalize(
        self,
        upload: Upload,
        lease: UploadLease,
        given: FileValues,
        declared: DeclaredContent,
        *,
        to: UploadState,
    ) -> File:
        """Make an upload's file; else let it be tried again, and raise a `FilesError` or a `SourceError`."""
        try:
            async with asyncio.timeout(_SECONDS):
                found = await self._copied(upload, lease, declared)
            file = made(upload, lease, given, found, now=self._ids.clock())
            await self.publish(upload, lease, file, to=to)
        except BaseException as error:
            await asyncio.shield(self._give_back(upload, lease, over=isinstance(error, FilesError)))
            if isinstance(error, TimeoutError):
                raise StorageSlow("the storage did not copy the upload in time") from error
            raise
        return file

    async def publish(self, upload: Upload, lease: UploadLease, file: File, *, to: UploadState) -> None:
        """Make the file be there, for edges too."""
        rest = (
            tuple(outbox_tasks.clear_staging(self._ids, upload))
            if upload.staging_key != file.object_key
            else ()
        )
        await self._database.write(partial(commit, upload=upload, lease=lease, file=file, to=to, then=rest))
        with suppress(ImgproxyError):  # it is there, whoever could not be told of it
            await self._tell(file.key)

    async def _copied(self, upload: Upload, lease: UploadLease, declared: DeclaredContent) -> Inspection:
        collection = await self._limits.named(upload.tenant, upload.collection)
        try:
            staged = await self._objects.head(upload.staging_key)
            if staged.size > size_limit(collection, upload.declared_size):
                with suppress(ImgproxyError):  # then it goes when the upload ends
                    await self._objects.delete(upload.staging_key)
            check_weight(staged.size, declared, collection)
            return await self.copied(upload.staging_key, staged, lease.object_key, declared, collection)
        except NotFound:
            raise FileNotFound(
                "nothing was uploaded for this key: PUT the file to its URL, then register"
            ) from None

    async def copied(
        self, source: Key, staged: Head, target: Key, declared: DeclaredContent, collection: Collection
    ) -> Inspection:
        """Copy an object to a key that no client can write to, and return the facts of the copy.

        Sizes that were claimed are those of the object with its metadata; the caller has compared them.
        """
        kind = await self._inspector.kind(source, declared) if self._stripper else ""
        if self._stripper is not None and self._stripper.takes(kind):
            body = await _stripped(self._stripper, source, staged.version)
            head = await self._objects.put(target, _one(body), content_type=kind)
            return await self._inspector.inspect(target, head, replace(declared, sizes=()), collection)
        head = await self._objects.copy(source, target)
        found = await self._inspector.inspect(target, head, declared, collection)
        if self.strips(found.mime_type):
            raise Conflict("the upload was replaced while it was registered: try again")
        return found

    async def _give_back(self, upload: Upload, lease: UploadLease, *, over: bool) -> None:
        now = self._ids.clock()
        with suppress(ImgproxyError):  # then the hold ends by itself
            await self._database.write(partial(release, upload=upload, lease=lease, over=over, now=now))


async def _stripped(stripper: Stripper, key: Key, version: str) -> bytes:
    try:
        return await stripper.strip(key, version)
    except ImageError as error:
        raise InvalidFormat(f"the file's metadata cannot be removed: {error}") from error
    except SourceTooLarge as error:
        raise FileTooLarge(f"the file is too large for its metadata to be removed: {error}") from error


async def _one(body: bytes) -> AsyncIterator[bytes]:
    yield body


def made(upload: Upload, lease: UploadLease, given: FileValues, found: Inspection, *, now: int) -> File:
    """The file of an upload."""
    values = {"visibility": upload.visibility, "category": upload.category, **given}
    return File(
        id=lease.file_id,
        tenant=upload.tenant,
        collection=upload.collection,
        key=upload.key,
        object_key=lease.object_key,
        etag=found.version,
        mime_type=found.mime_type,
        size=found.size,
        owner=upload.owner,
        state=FileState.READY,
        created_at=now,
        updated_at=now,
        width=found.width,
        height=found.height,
        **values,
    )
