"""Promises of `imgproxy.files.database.group`, told by what its threads say to a connection."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext

import pytest
from sqlalchemy import Connection, create_engine

from imgproxy.files.database.group import Connected, Line

_FOUR_TOGETHER = ["BEGIN", "COMMIT", "BEGIN", "COMMIT"]


class Heard:
    """A line of one thread whose first piece of work waits, so that the others come together."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.begun = threading.Event()
        self.hold = threading.Event()
        self._engine = create_engine("sqlite://", isolation_level="AUTOCOMMIT")
        self._connections: list[Connection] = []
        self.line = Line(self._connect, name="heard", threads=1, begin="BEGIN", translate=nullcontext)

    def _connect(self) -> Connected:
        connection = self._engine.connect()
        self._connections.append(connection)
        return Connected(connection, self._say)

    def _say(self, statement: str) -> None:
        self.said.append(statement)
        self.begun.set()

    async def together(self, *work: Callable[[Connection], object]) -> list[object]:
        first = asyncio.create_task(self.line.run(lambda _: self.hold.wait()))
        await asyncio.to_thread(self.begun.wait)
        others = [asyncio.ensure_future(self.line.run(each)) for each in work]
        await asyncio.sleep(0)
        self.hold.set()
        await first
        return list(await asyncio.gather(*others, return_exceptions=True))

    def end(self) -> None:
        self.line.end()
        for each in self._connections:
            each.close()
        self._engine.dispose()


@pytest.fixture
async def heard() -> AsyncIterator[Heard]:
    """A line that is ended after."""
    made = Heard()
    yield made
    await asyncio.to_thread(made.end)


def _fail(_: Connection) -> None:
    raise ValueError("no")


async def test_what_waits_together_shares_one_transaction(heard: Heard) -> None:
    assert await heard.together(lambda _: 1, lambda _: 2, lambda _: 3) == [1, 2, 3]
    assert heard.said == _FOUR_TOGETHER


async def test_what_fails_undoes_itself_alone(heard: Heard) -> None:
    done = await heard.together(lambda _: 1, _fail, lambda _: 3)
    assert [done[0], type(done[1]), done[2]] == [1, ValueError, 3]
    undone = ["SAVEPOINT one", "ROLLBACK TO one", "RELEASE one"]
    kept = ["SAVEPOINT one", "RELEASE one"]
    assert heard.said == ["BEGIN", "COMMIT", "BEGIN", "ROLLBACK", "BEGIN", *kept, *undone, *kept, "COMMIT"]


async def test_what_fails_by_itself_is_undone_and_not_run_again(heard: Heard) -> None:
    ran: list[int] = []

    def work(connection: Connection) -> None:
        ran.append(1)
        _fail(connection)

    with pytest.raises(ValueError, match="no"):
        await heard.line.run(work)
    assert (ran, heard.said) == ([1], ["BEGIN", "ROLLBACK"])


async def test_nobody_is_told_yes_when_the_commit_fails(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def say(statement: str) -> None:
        heard.said.append(statement)
        if statement == "COMMIT":
            raise sqlite3.OperationalError("disk full")

    monkeypatch.setattr(heard, "_say", say)
    with pytest.raises(sqlite3.OperationalError):
        await heard.line.run(lambda _: 1)
    assert heard.said == ["BEGIN", "COMMIT", "ROLLBACK"]


async def test_who_went_away_before_it_ran_has_written_nothing(heard: Heard) -> None:
    ran: list[str] = []
    first = asyncio.create_task(heard.line.run(lambda _: heard.hold.wait()))
    await asyncio.to_thread(heard.begun.wait)
    gone = asyncio.ensure_future(heard.line.run(lambda _: ran.append("gone")))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    heard.hold.set()
    await asyncio.gather(first, heard.line.run(lambda _: ran.append("after")))
    assert ran == ["after"]
