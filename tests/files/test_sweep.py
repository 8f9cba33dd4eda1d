"""Sweeping: what no row names goes, what a row names stays."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from sqlalchemy import Connection

from imgproxy.files import sweep
from imgproxy.files.database import Database
from imgproxy.files.model import FileState
from imgproxy.files.repository.files import insert_file
from imgproxy.files.repository.sweep import list_orphans
from imgproxy.files.sweep import GRACE_MS, Sweep
from imgproxy.image.source import Key
from imgproxy.storage import Head
from tests.files import samples
from tests.files.keeping import Keeping
from tests.files.uploading import TTL, bytes_of

LOST = Key("files/acme/0199b6c4-5a51-7c3e-9f0e-2b8f6f1d7a10/lost")


async def noted(keeping: Keeping) -> list[str]:
    found = await keeping.desk.database.read(list_orphans)
    return [orphan.object_key for orphan in found]


@pytest.mark.parametrize("place", [LOST, Key("staging/acme/nobody"), Key("files/stray")])
async def test_what_no_row_names_goes_in_two_passes_an_hour_apart(keeping: Keeping, place: Key) -> None:
    await keeping.file()
    await keeping.desk.storage.put(place, bytes_of(b"12345"))
    first = await keeping.sweep()
    assert (first.noted, first.removed) == (1, 0)
    keeping.desk.clock.now += GRACE_MS - 1
    early = await keeping.sweep()
    assert (early.noted, early.removed) == (1, 0)
    await keeping.outbox.drain()
    assert await keeping.desk.exists(place)
    keeping.desk.clock.now += 1
    second = await keeping.sweep()
    assert (second.noted, second.removed, second.removed_bytes) == (0, 1, 5)
    await keeping.outbox.drain()
    assert not await keeping.desk.exists(place)
    assert await noted(keeping) == []


async def test_what_a_row_names_stays(keeping: Keeping) -> None:
    ready, deleted = await keeping.file(), await keeping.deleted()
    issued = await keeping.desk.uploaded()
    for _ in range(3):
        found = await keeping.sweep()
        assert (found.noted, found.removed, found.missing) == (0, 0, [])
        keeping.desk.clock.now += GRACE_MS
    await keeping.outbox.drain()
    for key in (ready.object_key, deleted.object_key, issued.staging_key):
        assert await keeping.desk.exists(key)


async def test_a_staging_place_may_be_written_to_while_its_url_is_good(keeping: Keeping) -> None:
    upload = await keeping.desk.uploaded()
    await keeping.desk.register(upload)
    await keeping.outbox.drain()
    await keeping.desk.put(upload.staging_key)
    assert (await keeping.sweep()).noted == 0
    keeping.desk.clock.now += TTL * 1000 + GRACE_MS + 1
    assert (await keeping.sweep()).noted == 1


async def test_bytes_of_a_purged_file_are_named_by_nobody(keeping: Keeping) -> None:
    file = await keeping.deleted()
    keeping.desk.clock.now += 31 * 24 * 3600 * 1000
    await keeping.retention.purge_files()
    assert (await keeping.sweep()).noted == 1
    assert (await keeping.now(file)).state is FileState.PURGED


async def test_nothing_outside_our_places_is_looked_at(keeping: Keeping) -> None:
    for key in ("filesystem/a", "staging-area/a", "photos/files/a"):
        await keeping.desk.storage.put(Key(key), bytes_of(b"somebody's"))
    found = await keeping.sweep()
    assert (found.objects, found.noted) == (0, 0)


async def test_a_dry_run_tells_the_same_and_writes_nothing(keeping: Keeping) -> None:
    await keeping.desk.storage.put(LOST, bytes_of(b"12345"))
    assert (await keeping.sweep(dry=True)).noted == 1
    assert await noted(keeping) == []
    await keeping.sweep()
    keeping.desk.clock.now += GRACE_MS
    dry = await keeping.sweep(dry=True)
    assert (dry.noted, dry.removed, dry.removed_bytes) == (0, 1, 5)
    assert await keeping.tasks("delete") == []
    assert await noted(keeping) == [LOST]


class Meanwhile:
    """A record in which something is written just before the first write of who uses it."""

    def __init__(self, inner: Database, work: Callable[[Connection], None]) -> None:
        self._inner = inner
        self._work: Callable[[Connection], None] | None = work

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def write(self, work: Callable[[Connection], Any]) -> Any:
        before, self._work = self._work, None
        if before is not None:
            await self._inner.write(before)
        return await self._inner.write(work)


async def test_what_is_named_while_it_is_being_compared_stays(keeping: Keeping) -> None:
    await keeping.desk.storage.put(LOST, bytes_of(b"1"))
    await keeping.sweep()
    keeping.desk.clock.now += GRACE_MS
    record: Any = Meanwhile(
        keeping.desk.database, lambda connection: insert_file(connection, samples.file(object_key=LOST))
    )
    found = await Sweep(database=record, objects=keeping.desk.storage, ids=keeping.ids).run()
    assert (found.removed, await keeping.tasks("delete")) == (0, [])


async def test_what_is_no_orphan_any_more_begins_anew(keeping: Keeping) -> None:
    storage = keeping.desk.storage
    await storage.put(LOST, bytes_of(b"1"))
    await keeping.sweep()
    await storage.delete(LOST)
    keeping.desk.clock.now += GRACE_MS
    await keeping.sweep()
    assert await noted(keeping) == []
    await storage.put(LOST, bytes_of(b"2"))
    found = await keeping.sweep()
    assert (found.noted, found.removed) == (1, 0)


async def test_files_whose_bytes_are_gone_are_told_and_left_alone(keeping: Keeping) -> None:
    files = [await keeping.file() for _ in range(3)]
    gone = files[1]
    await keeping.desk.storage.delete(gone.object_key)
    for _ in range(2):
        found = await keeping.sweep()
        assert [(place.file_id, place.key) for place in found.missing] == [(gone.id, gone.key)]
        keeping.desk.clock.now += GRACE_MS
    assert await keeping.now(gone) == gone
    removals = [task.payload["key"] for task in await keeping.tasks("delete")]
    assert gone.object_key not in removals
    assert found.noted == 0


async def test_an_empty_storage_misses_every_file(keeping: Keeping, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "_BATCH", 2)
    files = [await keeping.file() for _ in range(5)]
    for file in files:
        await keeping.desk.storage.delete(file.object_key)
    found = await keeping.sweep()
    assert sorted(place.file_id for place in found.missing) == sorted(file.id for file in files)


async def test_many_objects_are_compared_batch_by_batch(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "_BATCH", 2)
    files = [await keeping.file() for _ in range(5)]
    for n in range(3):
        await keeping.desk.storage.put(Key(f"files/acme/{n}/lost"), bytes_of(b"1"))
    await keeping.desk.storage.delete(files[3].object_key)
    found = await keeping.sweep()
    assert (found.objects, found.noted) == (7, 3)
    assert [place.file_id for place in found.missing] == [files[3].id]


async def test_a_storage_that_lists_in_another_order_is_compared_alike(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "_BATCH", 2)
    files = [await keeping.file() for _ in range(7)]
    storage = keeping.desk.storage
    await storage.delete(files[3].object_key)
    await storage.put(LOST, bytes_of(b"1"))
    listed = [each async for each in storage.list("files/")]

    async def backwards(prefix: str = "") -> AsyncIterator[tuple[Key, Head]]:
        for key, head in reversed(listed):
            if key.startswith(prefix):
                yield key, head

    monkeypatch.setattr(storage, "list", backwards)
    found = await keeping.sweep()
    assert (found.objects, found.noted) == (7, 1)
    assert [place.file_id for place in found.missing] == [files[3].id]


async def test_parts_that_nobody_goes_on_with_are_thrown_away(keeping: Keeping) -> None:
    multipart = keeping.desk.storage.multipart
    upload = await keeping.desk.issue()
    kept = await multipart.begin(upload.staging_key)
    await multipart.begin(Key("staging/acme/nobody"))
    begun = max([each.begun async for each in multipart.list()])
    keeping.desk.clock.now = int(begun * 1000)
    assert (await keeping.sweep()).aborted == 0
    keeping.desk.clock.now += GRACE_MS + 1
    assert (await keeping.sweep(dry=True)).aborted == 1
    assert await keeping.tasks("abort") == []
    assert (await keeping.sweep()).aborted == 1
    await keeping.outbox.drain()
    assert [each.upload async for each in multipart.list()] == [kept]
