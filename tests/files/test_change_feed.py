"""Every change of the record is heard of, called or not, and nothing is believed in a silence."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from imgproxy.errors import Unavailable
from imgproxy.files.change_feed import TRUST_SECONDS, ChangeFeed
from imgproxy.files.database import ChangeNotice, Connection, Database, open_database
from imgproxy.files.database_url import PostgresUrl
from imgproxy.files.model import File
from imgproxy.files.repository.files import insert_file, update_file
from imgproxy.image.source import Key
from tests.files.samples import file
from tests.postgres import Postgres

_SOON = 30.0  # seconds that nothing here takes, on any machine


class Quiet:
    """A database that calls nobody, whatever its kind; or one that does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.notifies = False
        self.away = False
        self.asked = 0

    async def read(self, work: Callable[[Connection], Any]) -> Any:
        self.asked += 1
        if self.away:
            raise Unavailable("away")
        return await self._database.read(work)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


class Deaf(Quiet):
    """One that is asked nothing after its first answer, so that only calls are heard."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.notifies = True
        self.listening = asyncio.Event()

    async def read(self, work: Callable[[Connection], Any]) -> Any:
        if self.asked:
            raise Unavailable("away")
        return await super().read(work)

    async def listen(self) -> AsyncIterator[ChangeNotice]:
        async for notice in self._database.listen():
            yield notice
            if notice.kind == "listening":
                self.listening.set()


class Ears:
    """What was heard, and something to wait by."""

    def __init__(self, database: Any, timer: Callable[[], float] = time.monotonic) -> None:
        self.keys: list[Key] = []
        self._more = asyncio.Event()
        self.feed = ChangeFeed(database, changed=self._hear, forget=lambda: None, timer=timer)

    def _hear(self, key: Key) -> None:
        self.keys.append(key)
        self._more.set()

    async def until(self, key: Key) -> None:
        async with asyncio.timeout(_SOON):
            while key not in self.keys:
                self._more.clear()
                await self._more.wait()

    async def __aenter__(self) -> Ears:
        await self.feed.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.feed.close()


async def add(database: Any) -> File:
    given = file()
    await database.write(lambda record: insert_file(record, given))
    return given


async def change(database: Any, before: File) -> File:
    after = replace(before, generation=before.generation + 1)
    changed: File = await database.write(lambda record: update_file(record, before, after))
    return changed


async def test_a_record_that_calls_nobody_is_asked(database: Database) -> None:
    async with Ears(Quiet(database)) as ears:
        for _ in range(2):
            given = await add(database)
            await ears.until(given.key)


async def test_what_was_there_before_is_not_told(database: Database) -> None:
    old = await add(database)
    async with Ears(Quiet(database)) as ears:
        await ears.until((await add(database)).key)
        assert old.key not in ears.keys


async def test_a_call_is_enough(postgres: Postgres, postgres_record: str) -> None:
    database = await open_database(PostgresUrl(postgres.url(postgres_record)))
    deaf = Deaf(database)
    try:
        async with Ears(deaf) as ears:
            await deaf.listening.wait()
            given = await add(database)
            await ears.until(given.key)
            ears.keys.clear()
            await change(database, given)
            await ears.until(given.key)
    finally:
        await database.close()


async def test_a_change_is_heard_of_though_the_calling_connection_was_lost(
    postgres: Postgres, postgres_record: str
) -> None:
    database = await open_database(PostgresUrl(postgres.url(postgres_record)))
    listeners = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
    try:
        given = await add(database)
        async with Ears(database) as ears:
            for _ in range(3):
                await asyncio.to_thread(postgres.sql, listeners, name=postgres_record)
                ears.keys.clear()
                given = await change(database, given)
                await ears.until(given.key)
    finally:
        await database.close()


async def test_a_silence_ends_belief_and_an_answer_renews_it(database: Database) -> None:
    now = [0.0]
    quiet = Quiet(database)
    ears = Ears(quiet, timer=lambda: now[0])
    await ears.feed.catch_up()
    assert ears.feed.until == TRUST_SECONDS
    now[0], quiet.away = 5.0, True
    with pytest.raises(Unavailable):
        await ears.feed.catch_up()
    assert ears.feed.until == TRUST_SECONDS
    quiet.away = False
    await ears.feed.catch_up()
    assert ears.feed.until == TRUST_SECONDS + 5
    await ears.feed.close()


async def test_who_catch_up_together_ask_once(database: Database) -> None:
    quiet = Quiet(database)
    ears = Ears(quiet)
    await asyncio.gather(*(ears.feed.catch_up() for _ in range(20)))
    assert quiet.asked == 1
    await ears.feed.close()


async def test_that_the_record_is_away_is_said_once_and_that_it_is_back(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "imgproxy.files.change_feed")
    quiet = Quiet(database)
    ears = Ears(quiet)
    for quiet.away in (False, True, True, False, False):
        await asyncio.gather(ears.feed.catch_up(), return_exceptions=True)
    said = [record.message for record in caplog.records if record.name == "imgproxy.files.change_feed"]
    assert said == ["the record of files cannot be asked: away", "the record of files answers again"]
    await ears.feed.close()
