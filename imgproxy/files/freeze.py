"""Freezing: from bytes that a client may still overwrite to a file whose bytes nobody can.

claim     see `hold`
copy      within storage, to a place that no client ever held a URL for; images without personal metadata
examine   the copy: size, type, sides
publish   the file is there; what lies at the place that clients can write to is to be removed
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

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
from imgproxy.files import promises
from imgproxy.files.database import Database
from imgproxy.files.examine import Claimed, Examiner, Found, check_weight
from imgproxy.files.hold import LEASE_MS, Hold, give_back, publish
from imgproxy.files.model import Collection, File, FileState, Upload, UploadState, Visibility
from imgproxy.files.names import Names
from imgproxy.files.objects import Stripper
from imgproxy.files.terms import Terms, size_limit
from imgproxy.image.source import Key
from imgproxy.storage import Head, Storage

_SECONDS = LEASE_MS / 1000 - 30

Tell = Callable[[Key], Awaitable[None]]
"""Have every edge forget what it knows of a key; when this returns, they have."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is to be known of a file, in its owner's words."""

    original_name: str
    visibility: Visibility
    category: str | None = None
    description: str | None = None
    alt: str | None = None
    related_entity_id: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)


class Freezer:
    """Makes files of uploads that are held."""

    def __init__(
        self,
        *,
        database: Database,
        objects: Storage,
        examiner: Examiner,
        terms: Terms,
        names: Names,
        tell: Tell,
        stripper: Stripper | None = None,
    ) -> None:
        """Personal metadata of images stays unless there is a `stripper`."""
        self._database = database
        self._objects = objects
        self._examiner = examiner
        self._terms = terms
        self._names = names
        self._tell = tell
        self._stripper = stripper

    def strips(self, mime_type: str) -> bool:
        """Whether personal metadata of files of a type is removed."""
        return self._stripper is not None and self._stripper.takes(mime_type)

    async def freeze(
        self, upload: Upload, hold: Hold, facts: Facts, claimed: Claimed, *, to: UploadState
    ) -> File:
        """Make an upload's file; else let it be tried again, and raise a `FilesError` or a `SourceError`."""
        try:
            async with asyncio.timeout(_SECONDS):
                found = await self._copied(upload, hold, claimed)
            file = made(upload, hold, facts, found, now=self._names.clock())
            await self.publish(upload, hold, file, to=to)
        except BaseException as error:
            await asyncio.shield(self._give_back(upload, hold, over=isinstance(error, FilesError)))
            if isinstance(error, TimeoutError):
                raise StorageSlow("the storage did not copy the upload in time") from error
            raise
        return file

    async def publish(self, upload: Upload, hold: Hold, file: File, *, to: UploadState) -> None:
        """Make the file be there, for edges too."""
        rest = (
            tuple(promises.clear_staging(self._names, upload))
            if upload.staging_key != file.object_key
            else ()
        )
        await self._database.write(partial(publish, upload=upload, hold=hold, file=file, to=to, then=rest))
        with suppress(ImgproxyError):  # it is there, whoever could not be told of it
            await self._tell(file.key)

    async def _copied(self, upload: Upload, hold: Hold, claimed: Claimed) -> Found:
        collection = await self._terms.named(upload.tenant, upload.collection)
        try:
            staged = await self._objects.head(upload.staging_key)
            if staged.size > size_limit(collection, upload.declared_size):
                with suppress(ImgproxyError):  # then it goes when the upload ends
                    await self._objects.delete(upload.staging_key)
            check_weight(staged.size, claimed, collection)
            return await self.copied(upload.staging_key, staged, hold.object_key, claimed, collection)
        except NotFound:
            raise FileNotFound(
                "nothing was uploaded for this key: PUT the file to its URL, then register"
            ) from None

    async def copied(
        self, source: Key, staged: Head, target: Key, claimed: Claimed, collection: Collection
    ) -> Found:
        """Copy an object to where nobody can write, and return what the copy is.

        Sizes that were claimed are those of the object with its metadata; the caller has compared them.
        """
        kind = await self._examiner.kind(source, claimed) if self._stripper else ""
        if self._stripper is not None and self._stripper.takes(kind):
            body = await _stripped(self._stripper, source, staged.version)
            head = await self._objects.put(target, _one(body), content_type=kind)
            return await self._examiner.examine(target, head, replace(claimed, sizes=()), collection)
        head = await self._objects.copy(source, target)
        found = await self._examiner.examine(target, head, claimed, collection)
        if self.strips(found.mime_type):
            raise Conflict("the upload was replaced while it was registered: try again")
        return found

    async def _give_back(self, upload: Upload, hold: Hold, *, over: bool) -> None:
        now = self._names.clock()
        with suppress(ImgproxyError):  # then the hold ends by itself
            await self._database.write(partial(give_back, upload=upload, hold=hold, over=over, now=now))


async def _stripped(stripper: Stripper, key: Key, version: str) -> bytes:
    try:
        return await stripper.strip(key, version)
    except ImageError as error:
        raise InvalidFormat(f"the file's metadata cannot be removed: {error}") from error
    except SourceTooLarge as error:
        raise FileTooLarge(f"the file is too large for its metadata to be removed: {error}") from error


async def _one(body: bytes) -> AsyncIterator[bytes]:
    yield body


def made(upload: Upload, hold: Hold, facts: Facts, found: Found, *, now: int) -> File:
    """The file of an upload."""
    return File(
        id=hold.file_id,
        tenant=upload.tenant,
        collection=upload.collection,
        key=upload.key,
        object_key=hold.object_key,
        etag=found.version,
        original_name=facts.original_name,
        mime_type=found.mime_type,
        size=found.size,
        visibility=facts.visibility,
        owner=upload.owner,
        state=FileState.READY,
        created_at=now,
        updated_at=now,
        width=found.width,
        height=found.height,
        category=facts.category if facts.category is not None else upload.category,
        description=facts.description,
        alt=facts.alt,
        related_entity_id=facts.related_entity_id,
        tags=facts.tags,
        metadata=facts.metadata,
    )
