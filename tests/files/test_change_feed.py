"""Tests of `ChangeFeed`: every change is reported, notified or not, and trust ends without polls."""

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


class WithoutNotices:
    """A database without notifications, on each engine; or one that is unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.notifies = False
        self.away = False
        self.polls = 0

    async def read(self, work: Callable[[Connection], Any]) -> Any:
        self.polls += 1
        if self.away:
            raise Unavailable("away")
        return await self._database.read(work)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


class NoticesOnly(WithoutNotices):
    """A database whose polls fail after the first, so that only notifications report changes."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.notifies = True
        self.listening = asyncio.Event()

    async def read(self, work: Callable[[Connection], Any]) -> Any:
        if self.polls:
            raise Unavailable("away")
        return await super().read(work)

    async def listen(self) -> AsyncIterator[ChangeNotice]:
        async for notice in self._database.listen():
            yield notice
            if notice.kind == "listening":
                self.listening.set()


class Heard:
    """Keys that a feed reported, and an event to wait for them."""

    def __init__(self, database: Any, timer: Callable[[], float] = time.monotonic) -> None:
        self.keys: list[Key] = []
        self._more = asyncio.Event()
        self.feed = ChangeFeed(database, changed=self._note, forget=lambda: None, timer=timer)

    def _note(self, key: Key) -> None:
        self.keys.append(key)
        self._more.set()

    async def until(self, key: Key) -> None:
        async with asyncio.timeout(_SOON):
            while key not in self.keys:
                self._more.clear()
                await self._more.wait()

    async def __aenter__(self) -> Heard:
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


async def test_change_feed_without_notifications_polls(database: Database) -> None:
    async with Heard(WithoutNotices(database)) as heard:
        for _ in range(2):
            given = await add(database)
            await heard.until(given.key)


async def test_change_feed_reports_no_earlier_files(database: Database) -> None:
    old = await add(database)
    async with Heard(WithoutNotices(database)) as heard:
        await heard.until((await add(database)).key)
        assert old.key not in heard.keys


async def test_change_feed_reports_notified_keys(postgres: Postgres, postgres_record: str) -> None:
    database = await open_database(PostgresUrl(postgres.url(postgres_record)))
    notices_only = NoticesOnly(database)
    try:
        async with Heard(notices_only) as heard:
            await notices_only.listening.wait()
            given = await add(database)
            await heard.until(given.key)
            heard.keys.clear()
            await change(database, given)
            await heard.until(given.key)
    finally:
        await database.close()


async def test_change_feed_reports_changes_after_a_lost_listener(
    postgres: Postgres, postgres_record: str
) -> None:
    database = await open_database(PostgresUrl(postgres.url(postgres_record)))
    listeners = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
    try:
        given = await add(database)
        async with Heard(database) as heard:
            for _ in range(3):
                await asyncio.to_thread(postgres.sql, listeners, name=postgres_record)
                heard.keys.clear()
                given = await change(database, given)
                await heard.until(given.key)
    finally:
        await database.close()


async def test_change_feed_trust_ends_without_polls_and_returns_with_one(database: Database) -> None:
    now = [0.0]
    silent = WithoutNotices(database)
    heard = Heard(silent, timer=lambda: now[0])
    await heard.feed.catch_up()
    assert heard.feed.until == TRUST_SECONDS
    now[0], silent.away = 5.0, True
    with pytest.raises(Unavailable):
        await heard.feed.catch_up()
    assert heard.feed.until == TRUST_SECONDS
    silent.away = False
    await heard.feed.catch_up()
    assert heard.feed.until == TRUST_SECONDS + 5
    await heard.feed.close()


async def test_change_feed_catch_up_polls_once_for_all_callers(database: Database) -> None:
    silent = WithoutNotices(database)
    heard = Heard(silent)
    await asyncio.gather(*(heard.feed.catch_up() for _ in range(20)))
    assert silent.polls == 1
    await heard.feed.close()


async def test_change_feed_logs_an_outage_and_its_end_once(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "imgproxy.files.change_feed")
    silent = WithoutNotices(database)
    heard = Heard(silent)
    for silent.away in (False, True, True, False, False):
        await asyncio.gather(heard.feed.catch_up(), return_exceptions=True)
    logged = [record.message for record in caplog.records if record.name == "imgproxy.files.change_feed"]
    assert logged == [
        "change feed: cannot poll the database: away",
        "change feed: the database responds again",
    ]
    await heard.feed.close()
