"""One piece of work for all who ask."""

from __future__ import annotations

import asyncio

import pytest

from imgproxy.cache.singleflight import Singleflight
from imgproxy.waiters import Waiters


class Work:
    """Work that a test lets finish, and that counts how often it was begun and cancelled."""

    def __init__(self) -> None:
        self.begun = 0
        self.cancelled = 0
        self.release = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> int:
        self.begun += 1
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return self.begun


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_run_lets_those_who_join_wait_with_the_first() -> None:
    flights, work, told = Singleflight[int](), Work(), list[str]()
    first = Waiters("a")
    callers = [asyncio.create_task(flights.run("key", work, first))]
    await settle()
    with first.reported_to(told.append):
        callers += [asyncio.create_task(flights.run("key", work, Waiters(name))) for name in "abb"]
        await settle()
    work.release.set()
    await asyncio.gather(*callers)
    assert (first.names, told) == (("a", "b"), ["b"])


async def test_a_thousand_callers_share_one_piece_of_work() -> None:
    flights, work = Singleflight[int](), Work()
    callers = [asyncio.create_task(flights.run("key", work)) for _ in range(1000)]
    await settle()
    work.release.set()
    answers = await asyncio.gather(*callers)
    assert {value for value, _ in answers} == {1}
    assert sum(joined for _, joined in answers) == 999


async def test_different_keys_do_not_wait_for_each_other() -> None:
    flights, held, free = Singleflight[int](), Work(), Work()
    waiting = asyncio.create_task(flights.run("held", held))
    free.release.set()
    assert await flights.run("free", free) == (1, False)
    held.release.set()
    await waiting


async def test_an_error_goes_to_everybody() -> None:
    flights, work = Singleflight[int](), Work()
    work.error = ValueError("broken")
    callers = [asyncio.create_task(flights.run("key", work)) for _ in range(3)]
    await settle()
    work.release.set()
    errors = await asyncio.gather(*callers, return_exceptions=True)
    assert [str(error) for error in errors] == ["broken"] * 3


async def test_the_first_who_leaves_does_not_end_it_for_the_others() -> None:
    flights, work = Singleflight[int](), Work()
    leader = asyncio.create_task(flights.run("key", work))
    await settle()
    follower = asyncio.create_task(flights.run("key", work))
    await settle()
    leader.cancel()
    await settle()
    work.release.set()
    assert await follower == (1, True)
    assert work.cancelled == 0


async def test_the_last_who_leaves_ends_it() -> None:
    flights, work = Singleflight[int](), Work()
    callers = [asyncio.create_task(flights.run("key", work)) for _ in range(3)]
    await settle()
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    await settle()
    assert work.cancelled == 1


async def test_who_comes_after_the_last_has_left_begins_anew() -> None:
    flights, work = Singleflight[int](), Work()
    caller = asyncio.create_task(flights.run("key", work))
    await settle()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    work.release.set()
    assert await flights.run("key", work) == (2, False)


async def test_finished_work_is_not_handed_out_again() -> None:
    flights, work = Singleflight[int](), Work()
    work.release.set()
    assert [await flights.run("key", work) for _ in range(2)] == [(1, False), (2, False)]
