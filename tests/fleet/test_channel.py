"""Questions and answers between two processes, played by one."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import pytest

from imgproxy.errors import BrokenImage, EngineFailed, Overloaded
from imgproxy.fleet.channel import Channel, Gone, Lent
from tests.engine.jobs import original
from tests.fleet.processes import descriptors

LONG = 5 * 1024 * 1024


class Other:
    """The other side: answers by the question's first word."""

    def __init__(self) -> None:
        self.hold, self.reached = asyncio.Event(), asyncio.Event()
        self.cancelled = asyncio.Event()

    async def __call__(self, question: Any, lent: Lent) -> Any:
        word, *rest = question
        match word:
            case "echo":
                return rest[0]
            case "read":
                descriptors = lent.take()
                said = [os.pread(each, 100, 0) for each in descriptors]
                for each in descriptors:
                    os.close(each)
                return said
            case "length":
                return len(rest[0])
            case "raise":
                raise rest[0]
        self.reached.set()
        try:
            await self.hold.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return "late"


async def nothing(_question: Any, _lent: Lent) -> None:
    """Answer nothing."""


@asynccontextmanager
async def pair(other: Other | None = None) -> AsyncIterator[tuple[Channel, Channel, Other]]:
    """Our end, the other, and who answers there; afterwards no descriptor is left."""
    await asyncio.to_thread(str)
    before = descriptors()
    one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    other = other or Other()
    ours, theirs = Channel(one, nothing), Channel(two, other)
    try:
        yield ours, theirs, other
    finally:
        await ours.close()
        await theirs.close()
        assert descriptors() == before


async def test_each_question_gets_its_own_answer() -> None:
    async with pair() as (ours, _, _):
        answers = await asyncio.gather(*(ours.ask(("echo", number)) for number in range(500)))
    assert answers == list(range(500))


async def test_both_sides_may_ask_at_once() -> None:
    one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours, theirs = Channel(one, Other()), Channel(two, Other())
    assert await asyncio.gather(ours.ask(("echo", 1)), theirs.ask(("echo", 2))) == [1, 2]
    await ours.close()
    await theirs.close()


async def test_descriptors_go_along_and_stay_the_askers() -> None:
    async with pair() as (ours, _, _):
        with original("one") as first, original("two") as second:
            assert await ours.ask(("read",), (first, second)) == [b"one", b"two"]
            assert os.pread(first, 10, 0) == b"one"


async def test_descriptors_that_nobody_takes_are_closed() -> None:
    async with pair() as (ours, _, _):
        with original("one") as first:
            for _ in range(20):
                await ours.ask(("echo", 0), (first,))


async def test_what_waits_to_be_sent_keeps_its_descriptors() -> None:
    """More than the kernel takes at once; each is closed as soon as its question is given up."""
    async with pair() as (ours, _, _):
        with ExitStack() as opened:
            lent = [opened.enter_context(original(str(number))) for number in range(300)]
            asking = [asyncio.create_task(ours.ask(("read", bytes(20_000)), (each,))) for each in lent]
            given_up = asyncio.create_task(ours.ask(("wait", bytes(20_000)), (lent[0],)))
            await asyncio.sleep(0)
            given_up.cancel()
        assert [await each for each in asking] == [[b"%d" % number] for number in range(300)]


@pytest.mark.parametrize("size", [100, 40_000, 500_000, LONG])
async def test_anything_goes_through_whole_however_long(size: int) -> None:
    async with pair() as (ours, _, _):
        assert await ours.ask(("echo", bytes(size))) == bytes(size)


async def test_long_questions_take_descriptors_along_too() -> None:
    async with pair() as (ours, _, _):
        with original("one") as first:
            assert await ours.ask(("read", bytes(LONG)), (first,)) == [b"one"]


async def test_our_errors_come_back_as_what_they_are() -> None:
    async with pair() as (ours, _, _):
        with pytest.raises(BrokenImage, match="damaged"):
            await ours.ask(("raise", BrokenImage("damaged")))
        with pytest.raises(Overloaded, match="later") as caught:
            await ours.ask(("raise", Overloaded("later", retry_after=7)))
    assert caught.value.retry_after == 7


async def test_a_defect_is_logged_there_and_says_nothing_here(caplog: pytest.LogCaptureFixture) -> None:
    async with pair() as (ours, _, _):
        with pytest.raises(EngineFailed) as caught:
            await ours.ask(("raise", ZeroDivisionError("a secret")))
    assert "secret" not in str(caught.value)
    assert "a secret" in caplog.text


async def test_who_stops_asking_stops_the_answering() -> None:
    async with pair() as (ours, _, other):
        asking = asyncio.create_task(ours.ask(("wait",)))
        await other.reached.wait()
        asking.cancel()
        await asyncio.wait_for(other.cancelled.wait(), 10)
        assert await ours.ask(("echo", "well")) == "well"


async def test_a_question_taken_back_at_once_is_never_begun() -> None:
    async with pair() as (ours, _, other):
        with original("x") as descriptor:
            asking = asyncio.create_task(ours.ask(("wait",), (descriptor,)))
            await asyncio.sleep(0)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        assert await ours.ask(("echo", "well")) == "well"
        other.hold.set()


async def test_when_the_other_side_goes_everybody_is_told() -> None:
    one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    told, other = asyncio.Event(), Other()
    ours, theirs = Channel(one, other, gone=told.set), Channel(two, Other())
    asking = [asyncio.create_task(ours.ask(("wait",))) for _ in range(3)]
    asked = asyncio.create_task(theirs.ask(("wait",)))
    await other.reached.wait()
    await theirs.close()
    await asyncio.wait_for(told.wait(), 10)
    assert [type(each) for each in await asyncio.gather(*asking, return_exceptions=True)] == [Gone] * 3
    assert isinstance((await asyncio.gather(asked, return_exceptions=True))[0], Gone)
    assert other.cancelled.is_set()
    with pytest.raises(Gone):
        await ours.ask(("echo", 1))
    await ours.close()


async def test_a_side_that_closes_is_not_told_that_it_has_gone() -> None:
    one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    told = asyncio.Event()
    ours, theirs = Channel(one, nothing, gone=told.set), Channel(two, nothing)
    await ours.close()
    await theirs.close()
    assert not told.is_set()
