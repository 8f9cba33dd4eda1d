"""An edge of several is promised what one that is alone is promised."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imgproxy import errors
from imgproxy.clients import Waiters
from imgproxy.engine.pool import Pool, Result
from imgproxy.engine.worker_protocol import Job
from imgproxy.fleet.alone import Alone, require_workers
from imgproxy.fleet.channel import Channel, Lent
from imgproxy.fleet.member import Member
from imgproxy.fleet.words import Await, CheckWorkers, Drain, Fleet, Join, Measure, Notice, Run, Spread
from imgproxy.fleet.workshop import Workshop
from imgproxy.image.source import Key
from tests.engine import stand_in
from tests.engine.jobs import JOB, original
from tests.fleet.processes import children, nothing_left, until

COMMAND = (sys.executable, "-I", str(Path(stand_in.__file__).resolve()))
Running = Callable[..., Any]


class Parent:
    """The other side of one member."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._workshop = Workshop(pool)
        self.channel: Channel | None = None
        self.known: list[Notice] = []

    async def answer(self, question: object, lent: Lent) -> object:
        match question:
            case Run():
                return await self._workshop.run(question, lent)
            case Await():
                self._workshop.join(question)
            case CheckWorkers():
                require_workers(self._pool)
            case Join():
                return self.known
            case Spread(kind, key):
                self.known.append(Notice(kind, key, len(self.known) + 1))
                assert self.channel is not None
                await self.channel.ask(self.known[-1])
        return None


@asynccontextmanager
async def member_of(pool: Pool) -> AsyncIterator[tuple[Member, Parent, Channel]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    parent = Parent(pool)
    parent.channel = Channel(theirs, parent.answer)
    member = Member(ours, measure=lambda: b"counted")
    try:
        yield member, parent, parent.channel
    finally:
        await member.close()
        await parent.channel.close()


@pytest.fixture(params=["alone", "member"])
def running(request: pytest.FixtureRequest) -> Running:
    """Make a fleet of one or the other kind, with stand-ins for workers."""

    @asynccontextmanager
    async def run(size: int = 1, queue: int = 10, **settings: Any) -> AsyncIterator[Fleet]:
        async with nothing_left(), AsyncExitStack() as stack:
            pool = Pool(size, queue, **({"command": COMMAND} | settings))
            await pool.start()
            stack.push_async_callback(pool.close, 1)
            if request.param == "alone":
                yield Alone(pool)
            else:
                member, _, _ = await stack.enter_async_context(member_of(pool))
                yield member

    return run


async def ask(fleet: Fleet, text: str, *, job: Job = JOB) -> Result:
    """Run a job that does what `text` says."""
    with original(text) as descriptor:
        return await fleet.run(job, descriptor)


async def test_a_job_comes_back_with_its_bytes(running: Running) -> None:
    async with running() as fleet:
        result = await ask(fleet, "echo hello")
    assert (result.body, result.rendered.size) == (b"echo hello", 10)
    assert result.worked_seconds > 0


async def test_run_that_another_client_joins_is_called_up_in_its_turn(running: Running) -> None:
    async with running(1, 20) as fleet:
        order: list[int] = []
        waiters = [Waiters("a") for _ in range(5)]

        async def one(number: int) -> None:
            with original("spin 0.05") as descriptor:
                await fleet.run(replace(JOB, name=f"job {number}"), descriptor, (), waiters[number])
            order.append(number)

        jobs = [asyncio.create_task(one(number)) for number in range(5)]
        await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
        waiters[4].join(Waiters("b"))
        await asyncio.gather(*jobs)
    assert order == [0, 1, 4, 2, 3]


async def test_run_takes_clients_in_turns(running: Running) -> None:
    async with running(1, 20) as fleet:
        order: list[str] = []

        async def one(client: str, seconds: float) -> None:
            with original(f"sleep {seconds}") as descriptor:
                await fleet.run(JOB, descriptor, (), Waiters(client))
            order.append(client)

        first = one("a", 0.5)  # the others stand in line before it ends
        await asyncio.gather(first, *(one(client, 0) for client in "aaab"))
    assert order == list("abaaa")


async def test_overlay_follow_the_original(running: Running) -> None:
    async with running() as fleet:
        with original("echo") as first, original(" a") as second, original(" b") as third:
            job = replace(JOB, overlays=("a", "b"), name="n")
            assert (await fleet.run(job, first, (second, third))).body == b"echo a b"


@pytest.mark.parametrize("megabytes", [0.01, 0.5, 5])
async def test_results_of_any_size_are_whole(running: Running, megabytes: float) -> None:
    async with running() as fleet:
        result = await ask(fleet, f"many {megabytes}", job=replace(JOB, name="n"))
        assert result.body == bytes(int(megabytes * 1024**2))


async def test_a_picture_without_an_original_needs_no_descriptor(running: Running) -> None:
    async with running() as fleet:
        with pytest.raises(errors.EngineFailed):  # a stand-in wants one; what matters is that it was run
            await fleet.run(JOB)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("refuse", errors.UnsupportedImage),
        ("crash", errors.TransformFailed),
        ("defect", errors.EngineFailed),
        ("sleep 30", errors.DeadlinePassed),
    ],
)
async def test_every_way_to_fail_is_told_as_what_it_is(
    running: Running, text: str, error: type[errors.ImgproxyError]
) -> None:
    async with running() as fleet:
        with pytest.raises(error):
            await ask(fleet, text, job=replace(JOB, seconds=0.2, name="n"))


async def test_too_many_are_refused_at_once_with_when_to_come_again(running: Running) -> None:
    async with running(queue=1) as fleet:
        busy = [asyncio.create_task(ask(fleet, "sleep 2")) for _ in range(12)]
        with pytest.raises(errors.Overloaded) as caught:
            await asyncio.gather(*busy)
        for each in busy:
            each.cancel()
        await asyncio.gather(*busy, return_exceptions=True)
    assert caught.value.retry_after >= 1


async def test_a_job_that_nobody_waits_for_any_more_is_ended(running: Running) -> None:
    async with running() as fleet:
        before = children()
        asking = asyncio.create_task(ask(fleet, "sleep 60", job=replace(JOB, seconds=60)))
        await until(lambda: is_busy(before))
        asking.cancel()
        await until(lambda: before - children())
        assert (await ask(fleet, "echo")).body == b"echo"


def is_busy(workers: set[int]) -> bool:
    """Whether one of them has a descriptor of an original."""
    with suppress(FileNotFoundError):  # closed since
        folders = (Path(f"/proc/{pid}/fd") for pid in workers)
        return any("original" in str(each.readlink()) for folder in folders for each in folder.iterdir())
    return False


async def test_it_is_checked_whether_a_worker_is_alive(running: Running) -> None:
    others = children()  # servers that other tests need
    async with running(spare=0) as fleet:
        await fleet.check()
        for pid in children() - others:
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(errors.EngineFailed, match="no worker"):
            await checked_for_ever(fleet)


async def checked_for_ever(fleet: Fleet) -> None:
    async with asyncio.timeout(20):
        while True:
            await fleet.check()
            await asyncio.sleep(0)


async def test_what_is_spread_is_acted_on_with_a_number_that_rises(running: Running) -> None:
    heard: list[tuple[str, Key, int]] = []

    def listener(kind: str) -> Callable[[Key, int], Awaitable[None]]:
        async def listen(key: Key, number: int) -> None:
            await asyncio.sleep(0)
            heard.append((kind, key, number))

        return listen

    async with running() as fleet:
        fleet.subscribe("purge", listener("purge"))
        fleet.subscribe("record", listener("record"))
        await fleet.spread("purge", Key("a"))
        await fleet.spread("record", Key("a"))
        await fleet.spread("purge", Key("b"))
        assert heard == [("purge", "a", 1), ("record", "a", 2), ("purge", "b", 3)]


async def test_who_joins_acts_on_what_the_others_know() -> None:
    heard: list[tuple[Key, int]] = []

    async def listen(key: Key, number: int) -> None:
        heard.append((key, number))

    async with member_of(Pool(1, 1)) as (member, parent, _):
        parent.known = [Notice("purge", Key("a"), 3), Notice("purge", Key("b"), 4)]
        member.subscribe("purge", listen)
        await member.join()
    assert heard == [("a", 3), ("b", 4)]


async def test_its_parent_measures_and_dismisses_it() -> None:
    async with member_of(Pool(1, 1)) as (member, _, channel):
        assert await channel.ask(Measure()) == b"counted"
        assert not member.dismissed.is_set()
        await channel.ask(Drain())
        assert member.dismissed.is_set()


async def test_without_its_parent_it_is_dismissed_and_refuses(caplog: pytest.LogCaptureFixture) -> None:
    async with member_of(Pool(1, 1)) as (member, _, channel):
        await channel.close()
        await asyncio.wait_for(member.dismissed.wait(), 10)
        with pytest.raises(errors.Overloaded, match="shutting down"):
            await ask(member, "echo")
    assert "the parent process is gone" in caplog.text
