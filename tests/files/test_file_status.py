"""The record of files as the edge sees it: what is public now, on both engines and between processes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from imgproxy.errors import Unavailable
from imgproxy.files.change_feed import TRUST_SECONDS
from imgproxy.files.database import Connection, Database, open_database
from imgproxy.files.database_url import DatabaseUrl
from imgproxy.files.file_status import UNREGISTERED, FileStatus, FileStatusCache, MemoryFileStatuses
from imgproxy.files.model import File, FileState, UploadState, Visibility
from imgproxy.files.repository.files import insert_file, update_file
from imgproxy.files.repository.uploads import insert_upload
from imgproxy.image.source import Key, parse_key
from tests.files.samples import NOW, file, upload

KEY = parse_key("photos/cat.jpg")
_SOON = 30.0  # seconds that nothing here takes, on any machine


class Timer:
    """Seconds that go on when they are told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Held:
    """A database that can keep an answer back, count questions, and be away."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.notifies = False
        self.asked = 0
        self.away = False
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()
        self.go_on.set()

    async def read(self, work: Callable[[Connection], Any]) -> Any:
        if self.away:
            raise Unavailable("away")
        answer = await self._database.read(work)
        self.asked += 1
        self.reached.set()
        await self.go_on.wait()
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


@pytest.fixture
def held(database: Database) -> Held:
    return Held(database)


@pytest.fixture
def timer() -> Timer:
    return Timer()


@pytest.fixture
async def access(held: Held, timer: Timer) -> AsyncIterator[FileStatusCache]:
    """Of a record that can be held up; its time stands still."""
    async with opened(held, timer=timer) as made:
        yield made


class opened:  # noqa: N801  reads as a function
    """An access that has begun."""

    def __init__(self, database: Any, **given: Any) -> None:
        self._access = FileStatusCache(database, **{"timer": time.monotonic, **given})

    async def __aenter__(self) -> FileStatusCache:
        await self._access.start()
        return self._access

    async def __aexit__(self, *_: object) -> None:
        await self._access.close()


async def add(database: Any, **facts: Any) -> File:
    given = file(**facts)
    await database.write(lambda record: insert_file(record, given))
    return given


async def change(database: Any, before: File, **facts: Any) -> File:
    """Change a file as the API does: its generation goes up."""
    after = replace(before, generation=before.generation + 1, **facts)
    changed: File = await database.write(lambda record: update_file(record, before, after))
    return changed


async def until_shown(access: FileStatusCache, key: Key, *, public: bool) -> None:
    """Wait until an access says so."""
    async with asyncio.timeout(_SOON):
        while True:
            record = await access.look(key)
            if (record is not None and record.public) is public:
                return
            await asyncio.sleep(0.005)


async def test_a_record_is_told_as_it_is(access: FileStatusCache, database: Database) -> None:
    given = await add(database, generation=3)
    assert await access.look(given.key) == FileStatus(
        key=given.key,
        visibility=Visibility.PUBLIC,
        version=given.etag,
        generation=3,
        modified=NOW / 1000,
        tenant="acme",
        object_key=given.object_key,
        size=given.size,
    )


@pytest.mark.parametrize("state", FileState)
@pytest.mark.parametrize("visibility", Visibility)
async def test_only_ready_public_files_are_public(
    here: Any, state: FileState, visibility: Visibility
) -> None:
    given = await add(here.database, state=state, visibility=visibility)
    async with opened(here.database) as access:
        record = await access.look(given.key)
    assert record is not None
    assert record.public is (state is FileState.READY and visibility is Visibility.PUBLIC)


async def test_the_record_is_asked_once_and_then_remembered(
    access: FileStatusCache, held: Held, database: Database
) -> None:
    given = await add(database)
    assert access.at_hand(given.key) is None
    before = held.asked
    looks = await asyncio.gather(*(access.look(given.key) for _ in range(20)))
    assert (len(set(looks)), held.asked - before) == (1, 1)
    assert access.at_hand(given.key) is looks[0]


async def test_that_nothing_is_registered_is_remembered_until_something_is(
    access: FileStatusCache, held: Held, database: Database
) -> None:
    given = file()
    assert await access.look(given.key) is None
    assert access.at_hand(given.key) is UNREGISTERED
    before = held.asked
    assert await access.look(given.key) is None
    assert held.asked == before
    await add(database, id=given.id)
    access.changed(given.key)
    assert (await access.look(given.key)) is not None


async def test_what_is_remembered_is_bounded(held: Held, timer: Timer, database: Database) -> None:
    files = [await add(database) for _ in range(10)]
    async with opened(held, timer=timer, entries=4) as access:
        for each in files:
            await access.look(each.key)
        assert [access.at_hand(each.key) is not None for each in (files[0], files[-1])] == [False, True]


async def test_after_a_change_is_told_nothing_older_is(access: FileStatusCache, database: Database) -> None:
    given = await add(database)
    await access.look(given.key)
    await change(database, given, visibility=Visibility.PRIVATE)
    access.changed(given.key)
    assert access.at_hand(given.key) is None
    record = await access.look(given.key)
    assert (record is not None and record.public) is False


async def test_what_was_on_its_way_during_a_change_is_neither_given_nor_remembered(
    access: FileStatusCache, held: Held, database: Database
) -> None:
    given = await add(database)
    for visibility in (Visibility.PRIVATE, Visibility.PUBLIC) * 10:
        held.reached.clear()
        held.go_on.clear()
        looking = [asyncio.create_task(access.look(given.key)) for _ in range(3)]
        await held.reached.wait()
        given = await change(database, given, visibility=visibility)
        access.changed(given.key)
        held.go_on.set()
        told = {
            record and (record.visibility, record.generation) for record in await asyncio.gather(*looking)
        }
        assert told == {(visibility, given.generation)}
        assert access.at_hand(given.key) == await access.look(given.key)
        access.changed(given.key)


@pytest.mark.parametrize("steps", range(8))
async def test_a_change_at_any_moment_of_an_answer_leaves_nothing_older(here: Any, steps: int) -> None:
    """The answer is there, and whoever waits for it has not been woken yet."""
    held = Held(here.database)
    async with opened(held) as access:
        given = await add(here.database)
        held.go_on.clear()
        looking = asyncio.create_task(access.look(given.key))
        await held.reached.wait()
        after = await change(here.database, given, visibility=Visibility.PRIVATE)
        held.go_on.set()
        for _ in range(steps):
            await asyncio.sleep(0)
        done = looking.done()
        access.changed(given.key)
        record = await looking
        assert record is not None
        assert done or record.generation == after.generation
        assert (await access.look(given.key)).generation == after.generation  # type: ignore[union-attr]


async def test_who_leaves_does_not_end_it_for_who_stays(
    access: FileStatusCache, held: Held, database: Database
) -> None:
    given = await add(database)
    held.go_on.clear()
    first, second = (asyncio.create_task(access.look(given.key)) for _ in range(2))
    held.reached.clear()
    await held.reached.wait()
    first.cancel()
    await asyncio.wait([first])
    held.go_on.set()
    assert (await second) is not None


async def test_who_acts_on_changes_is_told_of_what_was_public(
    access: FileStatusCache, database: Database
) -> None:
    shown, hidden = await add(database), await add(database, visibility=Visibility.PRIVATE)
    await access.look(shown.key)
    await access.look(hidden.key)
    told: list[Key] = []
    access.when_changed(told.append)
    for key in (shown.key, hidden.key, KEY):
        access.changed(key)
    assert told == [shown.key]


async def test_while_the_record_is_away_what_is_known_is_believed_for_a_while_and_nothing_else(
    access: FileStatusCache, held: Held, timer: Timer, database: Database
) -> None:
    known, unknown = await add(database), await add(database)
    await access.look(known.key)
    held.away = True
    timer.now = TRUST_SECONDS - 0.001
    assert (await access.look(known.key)) is not None
    with pytest.raises(Unavailable):
        await access.look(unknown.key)
    timer.now = TRUST_SECONDS
    assert access.at_hand(known.key) is None
    with pytest.raises(Unavailable):
        await access.look(known.key)


async def test_who_was_asleep_hears_what_has_changed_before_anything_is_believed(
    access: FileStatusCache, timer: Timer, database: Database
) -> None:
    given = await add(database)
    await access.look(given.key)
    await change(database, given, visibility=Visibility.PRIVATE)
    timer.now += 3600
    record = await access.look(given.key)
    assert (record is not None and record.public) is False


async def test_other_processes_hear_of_changes_and_of_new_files(
    address: DatabaseUrl, database: Database
) -> None:
    given, new = await add(database), file()
    other = await open_database(address)
    try:
        async with opened(other) as access:
            await until_shown(access, given.key, public=True)
            assert await access.look(new.key) is None
            given = await change(database, given, visibility=Visibility.PRIVATE)
            await until_shown(access, given.key, public=False)
            await add(database, id=new.id)
            await until_shown(access, new.key, public=True)
            await change(database, given, state=FileState.READY, visibility=Visibility.PUBLIC)
            await until_shown(access, given.key, public=True)
    finally:
        await other.close()


async def test_more_changes_than_are_told_leave_nothing_believed(
    held: Held, timer: Timer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imgproxy.files import change_feed
    from imgproxy.files.repository.changes import changes_since

    monkeypatch.setattr(
        change_feed, "changes_since", lambda record, mark: changes_since(record, mark, limit=1)
    )
    given = [await add(database) for _ in range(3)]
    async with opened(held, timer=timer) as access:
        for each in given:
            await access.look(each.key)
        for each in given:
            await change(database, each, visibility=Visibility.PRIVATE)
        timer.now += 3600
        records = [await access.look(each.key) for each in given]
    assert [record is not None and record.public for record in records] == [False] * 3


async def test_an_upload_that_is_there_is_published_by_who_asks_first(held: Held, database: Database) -> None:
    given = upload()
    await database.write(lambda record: insert_upload(record, given))
    asked: list[Key] = []

    async def publish(key: Key) -> bool:
        asked.append(key)
        await asyncio.sleep(0)
        if len(asked) > 1:
            await add(database, id=given.id)
        return len(asked) > 1

    async with opened(held, publish=publish) as access:
        assert await access.look(given.key) is None  # nothing has been sent yet
        looks = await asyncio.gather(*(access.look(given.key) for _ in range(5)))
        assert {look and look.public for look in looks} == {True}
        assert await access.look(KEY) is None
    assert asked == [given.key] * 2


async def test_an_upload_that_has_ended_is_published_by_nobody(here: Any) -> None:
    given = upload(state=UploadState.ABORTED)
    await here.database.write(lambda record: insert_upload(record, given))

    async def publish(_: Key) -> bool:
        raise AssertionError

    async with opened(here.database, publish=publish) as access:
        assert await access.look(given.key) is None
        assert access.at_hand(given.key) is UNREGISTERED


async def test_a_key_without_a_record_is_none() -> None:
    assert await MemoryFileStatuses().look(KEY) is None
    assert MemoryFileStatuses().at_hand(KEY) is UNREGISTERED


async def test_a_registered_file_is_told_as_it_was_given() -> None:
    access = MemoryFileStatuses()
    access.register(KEY, Visibility.PUBLIC, version="v1", modified=10, tenant="t")
    record = await access.look(KEY)
    assert record is not None
    assert (record.visibility, record.version) == (Visibility.PUBLIC, "v1")


async def test_every_change_raises_the_generation() -> None:
    access = MemoryFileStatuses()
    generations = [
        access.register(KEY, visibility, version="v1", modified=10).generation
        for visibility in (Visibility.PUBLIC, Visibility.PRIVATE, Visibility.PUBLIC)
    ]
    assert generations == [1, 2, 3]


async def test_a_forgotten_file_is_unknown() -> None:
    access = MemoryFileStatuses()
    access.register(KEY, Visibility.PUBLIC, version="v1", modified=10)
    access.forget(KEY)
    access.forget(KEY)
    assert await access.look(KEY) is None
