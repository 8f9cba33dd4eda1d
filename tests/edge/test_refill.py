"""What was read under an older state of a file is neither shown nor kept under a newer one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from imgproxy.cache.memory import MemoryTier
from imgproxy.cache.purge_epochs import PurgeEpochs
from imgproxy.cache.tiers import Tiers
from imgproxy.dialects import Grammar
from imgproxy.edge.render import Recipe, Renderer
from imgproxy.edge.source_access import SourceAccess
from imgproxy.edge.source_cache import SourceCache
from imgproxy.engine.negative_cache import NegativeCache
from imgproxy.engine.pool import Result
from imgproxy.engine.worker_protocol import Encoding, Job
from imgproxy.errors import NotFound
from imgproxy.files.database import open_database
from imgproxy.files.database_url import SqliteUrl
from imgproxy.files.file_status import FileStatusCache
from imgproxy.files.model import File, Visibility
from imgproxy.files.repository.files import insert_file, update_file
from imgproxy.image.formats import Format
from imgproxy.image.negotiate import Output
from imgproxy.image.plan import Ceiling
from imgproxy.image.source import Key
from imgproxy.storage import OpenObject
from imgproxy.storage.memory import MemoryStorage
from imgproxy.telemetry import Metrics
from imgproxy.waiters import Waiters
from tests.edge.conftest import CountingEngine
from tests.files.samples import file

WEBP = Output((Format.WEBP,))
TRIES = 50  # at each place


class Gate:
    """Where one passer is held while something happens."""

    def __init__(self) -> None:
        self.place = ""
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()

    async def hold(self, place: str) -> None:
        if place == self.place:
            self.place = ""
            self.reached.set()
            await self.go_on.wait()

    def arm(self, place: str) -> None:
        self.place = place
        self.reached.clear()
        self.go_on.clear()


class HeldStorage(MemoryStorage):
    gate: Gate

    async def open(self, key: Key, *, limit: int) -> OpenObject:
        await self.gate.hold("before the fetch")
        original = await super().open(key, limit=limit)
        await self.gate.hold("after the fetch")
        return original


class HeldEngine(CountingEngine):
    gate: Gate

    async def run(self, job: Job, original: int | None, overlays: Sequence[int], waiters: Waiters) -> Result:
        result = await super().run(job, original, overlays, waiters)
        self.jobs.clear()
        await self.gate.hold("after the work")
        return result


class HeldTier(MemoryTier):
    gate: Gate

    async def get(self, key):  # type: ignore[no-untyped-def]
        found = await super().get(key)
        await self.gate.hold("after a look into the cache")
        return found


class Scene:
    """A file that changes, and an edge that shows it."""

    def __init__(self, access: FileStatusCache, database: object) -> None:
        self.gate, self.access, self.database = Gate(), access, database
        self.storage, self.engine, self.tier = HeldStorage(), HeldEngine(), HeldTier(1_000_000)
        self.storage.gate = self.engine.gate = self.tier.gate = self.gate
        source_access = SourceAccess(
            access, self.storage, PurgeEpochs(), unregistered=True, ttl=60, timer=lambda: 0.0, stale=3600
        )
        self.renderer = Renderer(
            source_access=source_access,
            sources=SourceCache(self.storage, limit=100_000),
            tiers=Tiers([self.tier]),
            engine=self.engine,
            negative_cache=NegativeCache(seconds=60, entries=100, timer=lambda: 0.0),
            recipe=Recipe(Encoding(), Ceiling(1_000_000, 10, 8192), "test"),
            metrics=Metrics(),
        )
        self.file: File = file()

    async def put(self, number: int) -> dict[str, object]:
        """New bytes at a new place."""

        async def chunks() -> AsyncIterator[bytes]:
            yield b"state %d" % number

        place = Key(f"files/acme/{number}")
        return {"object_key": place, "etag": (await self.storage.put(place, chunks())).version}

    async def change(self, number: int, *, public: bool) -> None:
        """As the API: when this returns, the old state is nobody's any more."""
        visibility = Visibility.PUBLIC if public else Visibility.PRIVATE
        generation = self.file.generation + 1
        after = replace(self.file, visibility=visibility, generation=generation, **await self.put(number))  # type: ignore[arg-type]
        self.file = await self.database.write(lambda c: update_file(c, self.file, after))  # type: ignore[attr-defined]
        self.access.changed(self.file.key)

    async def show(self, width: int) -> bytes | None:
        """What an asker is shown."""
        try:
            prepared, hit = await self.renderer.look(Grammar().read(f"/{width}x10/{self.file.key}"), WEBP)
            if hit is not None:
                return hit.found.entry.body
            return (await self.renderer.make(prepared))[1].entry.body
        except NotFound:
            return None


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    database = await open_database(SqliteUrl(tmp_path / "record.db"))
    await database.migrate()
    access = FileStatusCache(database, timer=lambda: 0.0)
    await access.start()
    made = Scene(access, database)
    made.file = replace(made.file, **await made.put(0))  # type: ignore[arg-type]
    await database.write(lambda c: insert_file(c, made.file))
    yield made
    await made.renderer.close()
    await access.close()
    await database.close()


@pytest.mark.parametrize(
    "place", ["before the fetch", "after the fetch", "after the work", "after a look into the cache"]
)
async def test_a_change_while_a_picture_is_made_leaves_nothing_of_before(scene: Scene, place: str) -> None:
    for number in range(1, TRIES + 1):
        public = number % 3 != 0
        if scene.file.visibility is not Visibility.PUBLIC:
            await scene.change(1000 + number, public=True)
        scene.gate.arm(place)
        asking = asyncio.create_task(scene.show(number))
        await scene.gate.reached.wait()
        await scene.change(number, public=public)
        scene.gate.go_on.set()
        expected = b"state %d at %d" % (number, number) if public else None
        assert await asking == expected
        assert [await scene.show(number) for _ in range(2)] == [expected] * 2
