"""What reads, changes and keeps files, over a desk that makes them; and a wait for what happens behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from imgproxy.errors import ImgproxyError
from imgproxy.files.database import Database
from imgproxy.files.editing import FileEditor
from imgproxy.files.model import File, FileId, Task, Visibility
from imgproxy.files.outbox import OutboxWorker, handlers
from imgproxy.files.reading import FileReader
from imgproxy.files.repository.files import file_by_id
from imgproxy.files.repository.outbox import list_tasks
from imgproxy.files.retention import Retention
from imgproxy.files.sweep import Findings, Sweep
from imgproxy.image.source import Key
from tests.files.machine.faults import DoubtfulRecord, Fault, Faults
from tests.files.uploading import ACME, ANN, Desk


@dataclass
class Front:
    """Caches in front; they fail when told."""

    forgotten: list[Key] = field(default_factory=list)
    error: Exception | None = None

    async def forget(self, key: Key) -> None:
        if self.error is not None:
            raise self.error
        self.forgotten.append(key)


@dataclass
class Keeping:
    """What a test can reach."""

    desk: Desk
    front: Front = field(default_factory=Front)
    deaf: ImgproxyError | None = None
    """What telling the edges fails with."""
    edges: list[Callable[[Key], None]] = field(default_factory=list)
    """Told of changes, too."""

    def __post_init__(self) -> None:
        database, storage, clock = self.desk.database, self.desk.storage, self.desk.clock
        self.ids = self.desk.ids

        async def tell(key: Key) -> None:
            self.desk.told.append(key)
            for edge in self.edges:
                edge(key)
            if self.deaf is not None:
                raise self.deaf

        self.outbox = OutboxWorker(database, handlers(storage, self.front), clock=clock)
        self.changes = FileEditor(database=database, ids=self.ids, tell=tell)
        self.reading = FileReader(database=database, objects=storage, clock=clock, ttl=3600)
        self.retention = Retention(database, ids=self.ids, wake=self.outbox.wake)

    async def file(self, **said: Any) -> File:
        """A file of ann's, public unless told; nobody is left to be told of it, and nothing to be done."""
        upload = await self.desk.uploaded(visibility=said.pop("visibility", Visibility.PUBLIC))
        file = await self.desk.register(upload, **said)
        await self.outbox.drain()
        self.desk.told.clear()
        return file

    async def deleted(self, **said: Any) -> File:
        """A file that was deleted just now; nothing is left to be told."""
        file = await self.file(**said)
        await self.changes.delete(ANN, file.id)
        await self.outbox.drain()
        self.desk.told.clear()
        return await self.now(file)

    async def now(self, file: File) -> File:
        """A file as the record has it."""
        found = await self.desk.database.read(lambda record: file_by_id(record, file.tenant, file.id))
        assert found is not None
        return found

    async def tasks(self, kind: str | None = None) -> list[Task]:
        """What is due, or was given up."""
        found = await self.desk.database.read(lambda record: list_tasks(record, ACME))
        due = [task for task in found if task.not_before <= self.desk.clock()]
        return [task for task in due if kind in (None, task.kind)]

    async def sweep(self, *, dry: bool = False) -> Findings:
        sweep = Sweep(database=self.desk.database, objects=self.desk.storage, ids=self.ids, dry=dry)
        return await sweep.run()


def writable_once(database: Database) -> Any:
    """The same record, away after the first write."""
    faults = Faults()
    faults.plan(Fault("write", "before", after=1))
    return DoubtfulRecord(database, faults)


async def until(holds: Callable[[], object]) -> None:
    """Wait for what is about to happen."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110  what is waited for has no event
            await asyncio.sleep(0.005)


UNKNOWN = FileId("0199b6c4-5a51-7c3e-9f0e-2b8f6f1d7a10")
