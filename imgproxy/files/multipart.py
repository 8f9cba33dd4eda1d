"""Uploads in parts: a URL for each, what has arrived, the end or the giving up of all.

Which parts are there is storage's to say, never the record's. What has been completed or given up may be
asked for again with the same answer, for the first one may have been lost.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from imgproxy.errors import Conflict, FileTooLarge, ImgproxyError, InvalidPartNumber, NotFound, UploadNotFound
from imgproxy.files import outbox_tasks
from imgproxy.files.collections import CollectionLimits, size_limit
from imgproxy.files.database import Connection, Database
from imgproxy.files.id_generator import IdGenerator
from imgproxy.files.model import Task, Upload, UploadId, UploadState
from imgproxy.files.principal import Principal
from imgproxy.files.repository.outbox import add_task
from imgproxy.files.repository.uploads import extend_upload, transition_upload, upload_by_id
from imgproxy.files.upload_lease import LEASE_MS
from imgproxy.files.uploads import may_use
from imgproxy.image.source import Key
from imgproxy.storage import Part, Storage

MAX_PARTS = 10_000  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html

Arrived = Callable[[Key], Awaitable[object]]
"""Be told that an object was written to a place; nothing that goes wrong comes out of it."""


async def nobody_waits(_: Key) -> None:
    """Do nothing with what has arrived: it is there until it is registered."""


_GIVEN_UP = (UploadState.ABORTED, UploadState.EXPIRED)
_A_FILE = (UploadState.PUBLISHED, UploadState.CONSUMED)


@dataclass(frozen=True, slots=True)
class UploadReference:
    """An upload as clients name it."""

    id: UploadId
    key: Key


@dataclass(frozen=True, slots=True)
class SignedPart:
    """URL for one part."""

    url: str
    """Absolute, or a path of our own."""
    expires_in: int
    """Seconds."""
    expires_at: int


class MultipartUploads:
    """Continues uploads in parts; those of other principals are `UploadNotFound`."""

    def __init__(
        self,
        *,
        database: Database,
        objects: Storage,
        limits: CollectionLimits,
        ids: IdGenerator,
        ttl: int,
        arrived: Arrived = nobody_waits,
    ) -> None:
        """URLs are good for `ttl` seconds."""
        self._database = database
        self._objects = objects
        self._limits = limits
        self._ids = ids
        self._ttl = ttl
        self._arrived = arrived

    async def sign(self, principal: Principal, place: UploadReference, *, number: int) -> SignedPart:
        """Allow one PUT of one part."""
        if not 1 <= number <= MAX_PARTS:
            raise InvalidPartNumber(f"parts are numbered from 1 to {MAX_PARTS}, not {number}")
        upload, begun = await self._open(principal, place)
        expires_at = self._ids.clock() + self._ttl * 1000
        if upload.url_expires_at < expires_at:
            await self._extend(upload, expires_at + self._ttl * 1000)
        limit = await self._limit(upload)
        url = await self._objects.multipart.presign(
            upload.staging_key, begun, number=number, expires=self._ttl, limit=limit
        )
        return SignedPart(url, self._ttl, expires_at)

    async def parts(self, principal: Principal, place: UploadReference) -> Sequence[Part]:
        """Return the parts that have arrived."""
        upload, begun = await self._open(principal, place)
        try:
            return await self._objects.multipart.parts(upload.staging_key, begun)
        except NotFound:
            raise _unknown() from None

    async def complete(self, principal: Principal, place: UploadReference, parts: Iterable[Part]) -> Upload:
        """Make the parts one object, ready to be registered; raise `InvalidParts`.

        Raise `FileTooLarge` and give the upload up if they have more bytes than it may have.
        """
        upload = await self._find(principal, place)
        if upload.state in _A_FILE:
            return upload
        begun = upload.storage_upload
        if upload.state in _GIVEN_UP or begun is None:
            raise _unknown()
        wanted = tuple(parts)
        try:
            await self._weigh(principal, upload, begun, wanted)
            await self._objects.multipart.complete(upload.staging_key, begun, wanted)
        except NotFound:
            if not await self._is_there(upload):
                raise _unknown() from None
        await self._arrived(upload.staging_key)
        return upload

    async def abort(self, principal: Principal, place: UploadReference) -> None:
        """Abort an upload; its parts are removed now, and again when its last URL has ended."""
        upload = await self._find(principal, place)
        if upload.state in _GIVEN_UP:
            return
        tasks = (*outbox_tasks.abort_parts(self._ids, upload), *outbox_tasks.clear_staging(self._ids, upload))
        await self._database.write(partial(_abort, upload=upload, tasks=tasks, now=self._ids.clock()))

    async def _limit(self, upload: Upload) -> int:
        collection = await self._limits.named(upload.tenant, upload.collection)
        return size_limit(collection, upload.declared_size)

    async def _weigh(self, principal: Principal, upload: Upload, begun: str, parts: Sequence[Part]) -> None:
        """Refuse parts of too many bytes, and have them go at once: no signature of S3's bounds them all."""
        limit = await self._limit(upload)
        held = await self._objects.multipart.parts(upload.staging_key, begun)
        numbers = {part.number for part in parts}
        size = sum(part.size for part in held if part.number in numbers)
        if size > limit:
            await self.abort(principal, UploadReference(upload.id, upload.key))
            with suppress(ImgproxyError):  # then the outbox has them go
                await self._objects.multipart.abort(upload.staging_key, begun)
            raise FileTooLarge(f"the parts must have at most {limit} bytes together, got {size}")

    async def _open(self, principal: Principal, place: UploadReference) -> tuple[Upload, str]:
        """An upload that can be gone on with, and storage's name of it."""
        upload = await self._find(principal, place)
        if upload.state is not UploadState.ISSUED or upload.storage_upload is None:
            raise _unknown()
        return upload, upload.storage_upload

    async def _find(self, principal: Principal, place: UploadReference) -> Upload:
        upload = await self._database.read(
            lambda connection: upload_by_id(connection, principal.tenant, place.id)
        )
        if upload is None or upload.kind != "multipart" or upload.key != place.key:
            raise _unknown()
        if not may_use(principal, upload):
            raise _unknown()
        return upload

    async def _extend(self, upload: Upload, until: int) -> None:
        """Note that URLs end later, well beyond the next one, so that not each is a write."""
        if not await self._database.write(
            lambda connection: extend_upload(connection, upload.tenant, upload.id, until)
        ):
            raise _unknown()

    async def _is_there(self, upload: Upload) -> bool:
        try:
            await self._objects.head(upload.staging_key)
        except NotFound:
            return False
        return True


def _abort(connection: Connection, *, upload: Upload, tasks: Iterable[Task], now: int) -> None:
    states = (UploadState.ISSUED,)
    aborted = transition_upload(
        connection,
        upload.tenant,
        upload.id,
        from_states=states,
        to=UploadState.ABORTED,
        now=now,
        stale_before=now - LEASE_MS,
    )
    if aborted is not None:
        for task in tasks:
            add_task(connection, task)
        return
    found = upload_by_id(connection, upload.tenant, upload.id)
    if found is not None and found.state not in _GIVEN_UP:
        raise Conflict("the upload is a file already, or is just becoming one")


def _unknown() -> UploadNotFound:
    return UploadNotFound("there is no such upload in parts, or it has ended")
