"""Promises of `imgproxy.files.database.lanes`, on a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from imgproxy.errors import Unavailable
from imgproxy.files.database.lanes import Lanes
from tests.postgres import Postgres

_HELD = 4711  # an advisory lock
Open = Callable[..., Lanes]


@pytest.fixture
async def lanes(postgres: Postgres) -> AsyncIterator[Open]:
    """Makes lanes, which are closed after."""
    url = postgres.url("postgres").replace("postgresql:", "postgresql+asyncpg:")
    engine = create_async_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    made: list[Lanes] = []

    def make(*, reads: bool = False, many: int = 1, seconds: float = 60, held_up: float = 0.005) -> Lanes:
        begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if reads else "BEGIN"
        made.append(
            Lanes(engine.connect, begin=begin, many=many, seconds=seconds, reads=reads, held_up=held_up)
        )
        return made[-1]

    yield make
    await asyncio.gather(*(each.close() for each in made))
    await engine.dispose()


def _asks(statement: str) -> Callable[[Connection], Any]:
    return lambda connection: connection.execute(text(statement)).scalar_one()


async def _all(lanes: Lanes, *statements: str) -> list[Any]:
    waiting = [lanes.put(_asks(each)) for each in statements]
    return await asyncio.gather(*(each.outcome for each in waiting), return_exceptions=True)


@asynccontextmanager
async def _held(lanes: Lanes) -> AsyncIterator[None]:
    """Hold what `_WAITS` waits for."""
    await lanes.put(_asks(f"SELECT pg_advisory_lock({_HELD})")).outcome
    try:
        yield
    finally:
        await lanes.put(_asks(f"SELECT pg_advisory_unlock({_HELD})")).outcome


async def _seen(lanes: Lanes, *, waiting: int) -> None:
    """Return when so many wait for what is held."""
    count = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    while await lanes.put(_asks(count)).outcome != waiting:
        pass


_WAITS = f"SELECT pg_advisory_xact_lock({_HELD})::text"


async def test_reads_that_wait_together_are_one_transaction(lanes: Open) -> None:
    begun = await _all(lanes(reads=True), *["SELECT now()"] * 3)
    assert len({*begun}) == 1


async def test_a_read_is_answered_before_the_next_one_of_its_transaction_ends(lanes: Open) -> None:
    reads = lanes(reads=True)
    async with _held(lanes()):
        first, second = reads.put(_asks("SELECT 1")), reads.put(_asks(_WAITS))
        assert await first.outcome == 1
        assert not second.outcome.done()
    await second.outcome


async def test_no_two_writes_are_one_transaction(lanes: Open) -> None:
    numbers = await _all(lanes(), *["SELECT pg_current_xact_id()::text"] * 3)
    assert len({*numbers}) == 3


async def test_what_the_server_refuses_takes_no_read_of_its_transaction_along(lanes: Open) -> None:
    done = await _all(lanes(reads=True), "SELECT 1", "SELECT 1/0", "SELECT 3")
    assert [done[0], isinstance(done[1], DBAPIError), done[2]] == [1, True, 3]


async def test_a_read_that_fails_by_itself_leaves_its_transaction_as_it_is(lanes: Open) -> None:
    def fail(_: Connection) -> None:
        raise ValueError("no")

    reads = lanes(reads=True)
    waiting = [reads.put(_asks("SELECT now()")), reads.put(fail), reads.put(_asks("SELECT now()"))]
    done = await asyncio.gather(*(each.outcome for each in waiting), return_exceptions=True)
    assert (type(done[1]), done[2]) == (ValueError, done[0])


async def test_a_lane_that_is_held_up_holds_up_no_other(lanes: Open) -> None:
    writes = lanes(many=2)
    async with _held(lanes()):
        held = writes.put(_asks(_WAITS))
        assert await _all(writes, "SELECT 1", "SELECT 2") == [1, 2]
        assert not held.outcome.done()
    await held.outcome


async def test_reads_gather_on_one_lane(lanes: Open) -> None:
    pids = await _all(lanes(reads=True, many=3, held_up=60), *["SELECT pg_backend_pid()"] * 9)
    assert len({*pids}) == 1


async def test_reads_whose_lane_is_held_up_get_another(lanes: Open) -> None:
    reads, others = lanes(reads=True, many=2), lanes()
    async with _held(others):
        held = reads.put(_asks(_WAITS))
        await _seen(others, waiting=1)
        assert await _all(reads, *["SELECT 1"] * 5) == [1] * 5
        assert not held.outcome.done()
    await held.outcome


async def test_reads_of_which_all_lanes_are_held_up_are_given_up(lanes: Open) -> None:
    reads, others = lanes(reads=True, many=2, seconds=0.05), lanes()
    async with _held(others):
        held = []
        for waiting in (1, 2):
            held.append(reads.put(_asks(_WAITS)))
            await _seen(others, waiting=waiting)
        with pytest.raises(Unavailable):
            await reads.put(_asks("SELECT 1")).outcome
    await asyncio.gather(*(each.outcome for each in held))


async def test_who_waits_too_long_to_begin_is_told_so_and_is_not_run(lanes: Open) -> None:
    ran: list[int] = []
    writes = lanes(seconds=0.05)
    async with _held(lanes()):
        held = writes.put(_asks(_WAITS))
        late = [writes.put(lambda _: ran.append(1)) for _ in range(2)]
        for each in late:
            with pytest.raises(Unavailable):
                await each.outcome
    await held.outcome
    assert ran == []


async def test_who_went_away_before_it_ran_has_written_nothing(lanes: Open) -> None:
    ran: list[str] = []
    writes = lanes()
    gone, after = writes.put(lambda _: ran.append("gone")), writes.put(lambda _: ran.append("after"))
    gone.outcome.cancel()
    await after.outcome
    assert ran == ["after"]


async def test_a_connection_is_used_again(lanes: Open) -> None:
    writes = lanes(many=3)
    pids = [await writes.put(_asks("SELECT pg_backend_pid()")).outcome for _ in range(4)]
    assert len({*pids}) == 1


async def test_closing_lets_what_waits_be_done(lanes: Open) -> None:
    writes = lanes()
    waiting = [writes.put(_asks("SELECT 1")) for _ in range(3)]
    await writes.close()
    assert [each.outcome.done() and each.outcome.result() for each in waiting] == [1, 1, 1]
