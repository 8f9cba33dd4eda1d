"""The parent keeps its edges alive, and what one is told all are told."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from imgproxy.engine.pool import Result
from imgproxy.errors import EngineFailed
from imgproxy.fleet import parent as parent_module
from imgproxy.fleet.channel import Lent
from imgproxy.fleet.parent import Parent
from imgproxy.fleet.words import Await, Run
from imgproxy.image.source import Key
from tests.fleet import stand_in
from tests.fleet.processes import exists, nothing_left, until

PROGRAM = str(Path(stand_in.__file__).resolve())
Told = list[tuple[str, str, int]]


class Idle:
    """An engine that nobody asks."""

    async def run(self, asked: Run, lent: Lent) -> Result:
        raise EngineFailed("nobody asks")

    def join(self, asked: Await) -> None:
        raise EngineFailed("nobody asks")


async def fine() -> None:
    """Find workers alive."""


@asynccontextmanager
async def running(*words: str) -> AsyncIterator[Parent]:
    """A started parent of stand-ins, each with its word; afterwards no process or descriptor is left."""
    async with nothing_left():
        parent = made(*words)
        try:
            await parent.start()
            yield parent
        finally:
            await parent.close()


def made(*words: str) -> Parent:
    def command(index: int, channel: int) -> list[str]:
        return [sys.executable, "-I", PROGRAM, words[index], str(channel)]

    return Parent(listeners=[[] for _ in words], command=command, engine=Idle(), check=fine)


async def told(parent: Parent) -> dict[str, Told]:
    """What each edge has been told."""
    return {
        index: [(*each,) for each in json.loads(text)] for index, text in (await parent.measure()).items()
    }


async def kill(parent: Parent, index: int) -> int:
    """End an edge, and wait for the one in its place; the pid of the one that was."""
    pid = parent._edges[index].pid
    os.kill(pid, signal.SIGKILL)
    await until(lambda: index in parent._edges and parent._edges[index].pid != pid)
    await until(lambda: parent.alive == len(parent._listeners))
    return pid


async def test_a_notice_has_been_acted_on_everywhere_when_it_is_spread() -> None:
    """Twice, for what an edge took from the disk before all others had acted."""
    async with running("", "") as parent:
        await parent.spread("purge", Key("a"))
        await parent.spread("purge", Key("b"))
        heard = [("purge", "a", 1)] * 2 + [("purge", "b", 2)] * 2
        assert await told(parent) == {"0": heard, "1": heard}


async def test_what_an_edge_has_spread_all_have_acted_on_when_it_is_answered() -> None:
    async with running("teller", "") as parent:
        await parent.spread("record", Key("spread a"))
        async with asyncio.timeout(20):
            while ("answered", "a", 0) not in (heard := await told(parent))["0"]:
                pass
        purges = [("purge", "a", 2)] * 2
        assert [each for each in heard["0"] if each[0] != "record"] == [*purges, ("answered", "a", 0)]
        assert [each for each in heard["1"] if each[0] != "record"] == purges


async def test_an_edge_that_ends_is_replaced_and_its_successor_knows_what_was_told() -> None:
    async with running("", "") as parent:
        for key in ("a", "b", "a"):
            await parent.spread("purge", Key(key))
        await kill(parent, 1)
        assert (await told(parent))["1"] == [("purge", "b", 2), ("purge", "a", 3)]
        assert parent.restarts == {"1": 1}
        await parent.spread("purge", Key("c"))
        assert (await told(parent))["1"][-1] == ("purge", "c", 4)


async def test_an_edge_that_ends_before_it_has_acted_keeps_nobody_waiting() -> None:
    async with running("") as parent:
        await asyncio.wait_for(parent.spread("record", Key("die")), 10)
        await parent.drain(10)


async def test_an_edge_that_does_not_act_is_said_to_whoever_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent_module, "_SPREAD_SECONDS", 0.1)
    async with running("", "") as parent:
        with pytest.raises(EngineFailed, match="in time"):
            await parent.spread("record", Key("stick"))


async def test_an_edge_that_does_not_answer_any_more_is_replaced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(parent_module, "_PULSE_SECONDS", 0.01)
    async with running("", "") as parent:
        monkeypatch.setattr(parent_module, "_SILENT_SECONDS", 0.1)
        stopped = parent._edges[0].pid
        os.kill(stopped, signal.SIGSTOP)
        await until(lambda: 0 in parent._edges and parent._edges[0].pid != stopped)
        monkeypatch.setattr(parent_module, "_SILENT_SECONDS", 60)
        await until(lambda: parent.alive == 2)
        assert not exists(stopped)
    assert "does not answer" in caplog.text


async def test_edges_that_keep_ending_are_not_started_as_fast_as_they_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)
    async with running("") as parent:
        rests: list[float] = []
        rest = parent._rest

        async def noted(seconds: float) -> None:
            rests.append(seconds)
            await rest(0)

        parent._rest = noted  # type: ignore[method-assign]
        for _ in range(4):
            await kill(parent, 0)
        assert rests == [0, 0.2, 0.4, 0.8]
    assert "edge 0" in caplog.text


async def test_draining_lets_edges_end_by_themselves() -> None:
    async with running("", "") as parent:
        pids = [edge.pid for edge in parent._edges.values()]
        await parent.drain(20)
        assert not any(map(exists, pids))
        assert not parent.restarts


async def test_draining_waits_no_longer_than_it_may() -> None:
    async with running("", "slow") as parent:
        await parent.drain(0.5)
        assert set(parent._edges) == {1}


async def test_edges_that_cannot_start_are_an_error_at_once() -> None:
    async with nothing_left():
        parent = made("mute", "mute")
        with pytest.raises(EngineFailed, match="no edge could be started"):
            await parent.start()
        await parent.close()


async def test_a_program_that_is_not_there_is_the_same_error() -> None:
    async with nothing_left():
        parent = Parent(listeners=[[]], command=lambda *_: ["/nowhere"], engine=Idle(), check=fine)
        with pytest.raises(EngineFailed, match="no edge could be started"):
            await parent.start()
        await parent.close()


async def test_without_an_edge_it_is_not_ready() -> None:
    async with running("") as parent:
        await parent.check()
        await parent.drain(20)
        with pytest.raises(EngineFailed):
            await parent.check()
