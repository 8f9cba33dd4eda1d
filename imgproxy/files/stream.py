"""Uploading through us: the bytes go to storage as they arrive, and never lie in memory as a whole.

No client ever holds a URL for the place, so nothing needs to be frozen: the object is written where it stays,
or where uploads are staged if its metadata is then removed.
Its row and the promise to remove it come first; what breaks off leaves the promise alone, and soon nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from imgproxy.errors import BodyTooLarge, FilesError, ImgproxyError, StorageSlow
from imgproxy.files import promises
from imgproxy.files.database import Database
from imgproxy.files.examine import Claimed, Examiner, type_of
from imgproxy.files.freeze import Facts, Freezer, made
from imgproxy.files.hold import Hold, begin, draw_hold, drop
from imgproxy.files.model import Collection, File, Task, Upload, UploadState, Visibility
from imgproxy.files.names import Names
from imgproxy.files.principal import Principal
from imgproxy.files.sniff import SNIFFED_BYTES
from imgproxy.files.terms import Terms, check_type
from imgproxy.files.uploads import Wish, draw_upload
from imgproxy.storage import Storage

_SECONDS = 3600
"""For all of a body; 5 GB come at 1.4 MB/s."""


@dataclass(frozen=True, slots=True)
class Details:
    """What is said of a file beside its bytes."""

    facts: Facts
    """Of these, the visibility is the collection's unless `visibility` is told."""
    visibility: Visibility | None = None


class Streams:
    """Stores files that are sent to us."""

    def __init__(
        self,
        *,
        database: Database,
        objects: Storage,
        examiner: Examiner,
        terms: Terms,
        names: Names,
        freezer: Freezer,
    ) -> None:
        self._database = database
        self._objects = objects
        self._examiner = examiner
        self._terms = terms
        self._names = names
        self._freezer = freezer

    async def store(
        self,
        principal: Principal,
        wish: Wish,
        chunks: AsyncIterator[bytes],
        details: Callable[[], Details],
        *,
        at_least: int = 0,
    ) -> File:
        """Store a file as it arrives; `details` are asked for when its last chunk is here.

        Raise a `FilesError`, `BodyTooLarge` as soon as more bytes come than the collection takes (at once if
        `at_least` is more), a `SourceError` when storage fails, and whatever `chunks` raise.
        """
        first = await _begin_of(chunks)
        kind = await type_of(first, _claimed(wish))
        collection = await self._terms.choose(principal.tenant, category=wish.category, mime_type=kind)
        check_type(collection, kind)
        _refuse_above(at_least, collection)
        hold = draw_hold(self._names, principal.tenant, patience_ms=_SECONDS * 1000)
        upload = self._drawn(principal, replace(wish, mime_type=kind), collection, hold)
        staged = self._staged(upload, hold)
        await self._database.write(partial(begin, upload=upload, hold=hold, staged=staged))
        try:
            async with asyncio.timeout(_SECONDS):
                file = await self._stored(upload, hold, _bounded(first, chunks, collection), details)
            await self._freezer.publish(upload, hold, file, to=UploadState.CONSUMED)
        except BaseException as error:
            await asyncio.shield(self._drop(upload, hold, over=isinstance(error, FilesError)))
            if isinstance(error, TimeoutError):
                raise StorageSlow(f"the file did not arrive within {_SECONDS} seconds") from error
            raise
        return file

    async def _stored(
        self,
        upload: Upload,
        hold: Hold,
        chunks: AsyncIterator[bytes],
        details: Callable[[], Details],
    ) -> File:
        head = await self._objects.put(upload.staging_key, chunks, content_type=upload.declared_type)
        said = details()
        facts = replace(said.facts, visibility=said.visibility or upload.visibility)
        collection = await self._terms.named(upload.tenant, upload.collection)
        claimed = Claimed(upload.declared_name, (upload.declared_type or "",))
        if upload.staging_key == hold.object_key:
            found = await self._examiner.examine(hold.object_key, head, claimed, collection)
        else:
            found = await self._freezer.copied(upload.staging_key, head, hold.object_key, claimed, collection)
        return made(upload, hold, facts, found, now=self._names.clock())

    def _drawn(self, principal: Principal, wish: Wish, collection: Collection, hold: Hold) -> Upload:
        """An upload that we are completing already, to where the file will be, or to be stripped first."""
        upload = draw_upload(self._names, principal, wish, collection, kind="stream", seconds=_SECONDS)
        return replace(
            upload,
            staging_key=upload.staging_key if self._freezer.strips(wish.mime_type) else hold.object_key,
            state=UploadState.COMPLETING,
            file_id=hold.file_id,
            claimed_at=upload.created_at,
        )

    def _staged(self, upload: Upload, hold: Hold) -> Task | None:
        """The promise to remove what is staged, if anything is."""
        if upload.staging_key == hold.object_key:
            return None
        at = hold.promise.not_before
        return promises.delete_object(self._names, upload.tenant, upload.staging_key, at=at)

    async def _drop(self, upload: Upload, hold: Hold, *, over: bool) -> None:
        now = self._names.clock()
        with suppress(ImgproxyError):  # then the promises are kept later, and the row swept
            if over and upload.staging_key != hold.object_key:
                await self._objects.delete(upload.staging_key)
            await self._database.write(partial(drop, upload=upload, hold=hold, over=over, now=now))


def _claimed(wish: Wish) -> Claimed:
    return Claimed(wish.name, (wish.mime_type,))


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
    """All bytes, up to the first that is too many."""
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
