"""All that makes files of uploads, over any record and any storage; time stands still until moved."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from imgproxy.errors import BrokenImage, ImgproxyError, NotFound
from imgproxy.files.auto_registration import AutoRegistration
from imgproxy.files.collections import CollectionLimits
from imgproxy.files.database import Connection, Database
from imgproxy.files.fields import INPUTS
from imgproxy.files.finalize import ContentInspector, Finalizer
from imgproxy.files.id_generator import IdGenerator
from imgproxy.files.model import File, Task, TenantId, Upload
from imgproxy.files.multipart import MultipartUploads
from imgproxy.files.principal import Kind, Principal
from imgproxy.files.registration import Registrar, UploadRegistration
from imgproxy.files.repository.files import file_by_key
from imgproxy.files.repository.outbox import finish_task, lease_tasks
from imgproxy.files.repository.uploads import upload_by_id
from imgproxy.files.streamed_uploads import StreamedUploads
from imgproxy.files.uploads import UploadRequest, Uploads
from imgproxy.image.source import Key
from imgproxy.storage import Storage

NOW = 1_790_000_000_000
ACME, OTHER = TenantId("acme"), TenantId("other")
ANN = Principal(ACME, Kind.USER, user="ann")
BOB = Principal(ACME, Kind.USER, user="bob")
ACME_ITSELF = Principal(ACME, Kind.SERVICE)
ELSEWHERE = Principal(OTHER, Kind.USER, user="ann")
NOBODY = Principal(ACME, Kind.ANONYMOUS)

JPEG = b"\xff\xd8\xff\xe0 40x20 of a picture"
OTHER_JPEG = b"\xff\xd8\xff\xe0 40x20 of another"
PLACE = b" taken at 48.858 N, 2.294 E"
BROKEN_JPEG = b"\xff\xd8\xff\xe0 broken"
TEXT = b"Once upon a time."
TTL = 900


@dataclass
class Clock:
    """Milliseconds since 1970."""

    now: int = NOW

    def __call__(self) -> int:
        return self.now

    def seconds(self) -> float:
        return self.now / 1000


class Measure:
    """Looks into made-up pictures; counts, and fails when told."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.seen: list[Key] = []
        self.error: ImgproxyError | None = None

    async def inspect(self, key: Key, version: str, size: int) -> tuple[int, int] | None:
        self.seen.append(key)
        if self.error is not None:
            raise self.error
        head = await self.storage.head(key)
        assert (head.version, head.size) == (version, size)
        if b"broken" in await everything(self.storage.read(key)):
            raise BrokenImage("the picture ends too early")
        return 40, 20


class Erase:
    """Removes `PLACE` from made-up JPEGs, and fails when told."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.error: ImgproxyError | None = None

    def takes(self, mime_type: str) -> bool:
        return mime_type == "image/jpeg"

    async def strip(self, key: Key, version: str) -> bytes:
        assert (await self.storage.head(key)).version == version
        if self.error is not None:
            raise self.error
        return (await everything(self.storage.read(key))).replace(PLACE, b"")


async def everything(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


async def bytes_of(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@dataclass
class Desk:
    """What a test can reach."""

    database: Database
    storage: Storage
    clock: Clock = field(default_factory=Clock)
    told: list[Key] = field(default_factory=list)
    strips: bool = False

    def __post_init__(self) -> None:
        self.ids = IdGenerator(self.clock, os.urandom)
        self.measure = Measure(self.storage)
        self.limits = limits = CollectionLimits(self.database, clock=self.clock)
        self.erase = Erase(self.storage)
        erase = self.erase if self.strips else None
        inspector = ContentInspector(self.storage, self.measure)

        same: dict[str, Any] = {"database": self.database, "ids": self.ids}
        stored: dict[str, Any] = {**same, "objects": self.storage}
        self.finalizer = Finalizer(
            **stored, inspector=inspector, limits=limits, tell=self.tell, stripper=erase
        )
        self.uploads = Uploads(**stored, limits=limits, ttl=TTL)
        self.multipart = MultipartUploads(**stored, limits=limits, ttl=TTL)
        self.registrar = Registrar(**same, finalizer=self.finalizer, tell=self.tell)
        self.publisher = AutoRegistration(**stored, limits=limits, finalizer=self.finalizer)
        self.streams = StreamedUploads(**stored, inspector=inspector, limits=limits, finalizer=self.finalizer)

    async def tell(self, key: Key) -> None:
        """As edges are told of a change."""
        self.told.append(key)

    async def issue(self, principal: Principal = ANN, **request: Any) -> Upload:
        """Issue an upload of `cat.jpg`."""
        given = {"name": "cat.jpg", "mime_type": "image/jpeg", **request}
        return (await self.uploads.issue(principal, UploadRequest(**given))).upload

    async def put(self, key: Key, body: bytes = JPEG) -> None:
        """Write to a place as a client with its URL does."""
        await self.storage.put(key, bytes_of(body))

    async def uploaded(self, body: bytes = JPEG, **request: Any) -> Upload:
        """An upload whose bytes are there."""
        upload = await self.issue(**request)
        await self.put(upload.staging_key, body)
        return upload

    async def register(self, upload: Upload, principal: Principal = ANN, **said: Any) -> File:
        """Register an upload, by default truthfully."""
        values = {"original_name": "cat.jpg"}
        values |= {each.name: said.pop(each.name) for each in INPUTS if each.name in said}
        given = {"key": upload.key, "mime_type": "image/jpeg", "size": len(JPEG), **said}
        return await self.registrar.register(principal, UploadRegistration(values=values, **given))  # type: ignore[arg-type]

    async def upload(self, upload: Upload) -> Upload | None:
        """An upload as the record has it now."""
        return await self.database.read(lambda record: upload_by_id(record, upload.tenant, upload.id))

    async def file(self, key: Key) -> File | None:
        return await self.database.read(lambda record: file_by_key(record, key))

    async def body(self, key: Key) -> bytes:
        return await everything(self.storage.read(key))

    async def stored(self) -> list[Key]:
        """Where objects lie."""
        return [key async for key, _ in self.storage.list()]

    async def drain(self) -> list[Task]:
        """Keep every promise that is due."""
        now = self.clock()
        tasks = await self.database.write(
            lambda record: lease_tasks(record, now=now, lease_until=now + 60_000)
        )
        for task in tasks:
            await self._keep(task)
            await self.database.write(finisher(task))
        return tasks

    async def settle(self) -> None:
        """Let all time pass that any promise waits for, and keep them all."""
        self.clock.now += 10 * 3600 * 1000
        while await self.drain():
            pass

    async def _keep(self, task: Task) -> None:
        key = Key(task.payload["key"])
        if task.kind == "delete":
            await self.storage.delete(key)
        else:
            await self.storage.multipart.abort(key, task.payload["upload"])

    async def exists(self, key: Key) -> bool:
        try:
            await self.storage.head(key)
        except NotFound:
            return False
        return True


def finisher(task: Task) -> Callable[[Connection], None]:
    return lambda record: finish_task(record, task.id)
