"""A fleet of one: what is spread is acted on here and at once, and whoever asks hears of it.

What it has in common with a member of several is promised in `test_member`.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from imgproxy.engine.pool import Pool
from imgproxy.errors import EngineFailed, Unavailable
from imgproxy.fleet.alone import Alone, require_workers
from imgproxy.image.source import Key
from tests.engine import stand_in
from tests.engine.jobs import JOB, original
from tests.fleet.processes import nothing_left, until

COMMAND = (sys.executable, "-I", str(Path(stand_in.__file__).resolve()))
NOBODY = Pool(1, 1)  # never started


async def test_what_goes_wrong_with_acting_is_told_to_whoever_spreads_it() -> None:
    fleet, told = Alone(NOBODY), []

    async def listen(key: Key, number: int) -> None:
        told.append((key, number))
        if key == "bad":
            raise Unavailable("the cache is away")

    fleet.subscribe("purge", listen)
    with pytest.raises(Unavailable):
        await fleet.spread("purge", Key("bad"))
    await fleet.spread("purge", Key("good"))
    assert told == [("bad", 1), ("good", 2)]


async def test_only_who_listens_to_a_kind_hears_of_it() -> None:
    fleet, told = Alone(NOBODY), []

    async def purged(key: Key, number: int) -> None:
        told.append(("purge", key))

    async def changed(key: Key, number: int) -> None:
        told.append(("record", key))

    fleet.subscribe("purge", purged)
    fleet.subscribe("record", changed)
    await fleet.spread("record", Key("a"))
    await fleet.spread("purge", Key("b"))
    assert told == [("record", "a"), ("purge", "b")]


async def test_who_has_no_worker_says_so() -> None:
    with pytest.raises(EngineFailed, match="no worker"):
        await Alone(NOBODY).check()


async def test_a_worker_that_is_idle_is_alive_and_so_is_one_that_is_busy() -> None:
    async with nothing_left():
        pool = Pool(1, 1, command=COMMAND, spare=0)
        await pool.start()
        await until(lambda: pool.idle)
        require_workers(pool)
        with original("sleep 60") as descriptor:
            asking = asyncio.create_task(Alone(pool).run(JOB, descriptor))
            await until(lambda: pool.running and not pool.idle)
            require_workers(pool)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        await pool.close(1)
