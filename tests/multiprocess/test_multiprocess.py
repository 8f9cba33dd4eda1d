"""The supervisor keeps its processes alive, and a message that one sends is applied in all."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from imgproxy import multiprocess
from imgproxy.errors import EngineFailed, Overloaded, Unavailable
from imgproxy.image.source import Key
from imgproxy.multiprocess import COMMAND, Broadcast, Gone, Link, Supervisor
from tests.multiprocess import stand_in
from tests.multiprocess.processes import exists, nothing_left, until

PROGRAM = str(Path(stand_in.__file__).resolve())


@asynccontextmanager
async def links() -> AsyncIterator[tuple[Link, Link]]:
    """Both ends of a link in this process; afterwards no descriptor is left."""
    async with nothing_left():
        one, other = socket.socketpair()
        async with Link(one) as link, Link(other) as far:
            yield link, far


async def test_call_returns_answers_in_any_order() -> None:
    async with links() as (link, far):
        first = asyncio.Event()

        async def answer(key: str) -> str:
            await first.wait() if key == "a" else first.set()
            return key.upper()

        far.handlers["upper"] = link.handlers["upper"] = answer
        assert await asyncio.gather(link.call("upper", "a"), link.call("upper", "b")) == ["A", "B"]
        assert (
            await far.call("upper", "\udcff\n\N{GRINNING FACE}" * 3_000)
            == "\udcff\n\N{GRINNING FACE}" * 3_000
        )


async def test_call_raises_gone_when_the_other_end_closes() -> None:
    async with links() as (link, far):
        far.handlers["wait"] = asyncio.Event().wait
        calling = asyncio.create_task(link.call("wait"))
        await until(lambda: far._answers)
        far._writer.close()
        with pytest.raises(Gone):
            await calling
        with pytest.raises(Gone):
            await link.call("wait")
        (waiting,) = far._answers
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def test_call_that_is_cancelled_leaves_the_link_usable() -> None:
    async with links() as (link, far):
        release = asyncio.Event()
        far.handlers["wait"] = release.wait
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(link.call("wait"), 0.01)
        release.set()
        assert await link.call("ping") is None


async def test_handler_that_fails_closes_the_link(caplog: pytest.LogCaptureFixture) -> None:
    async with links() as (link, far):

        async def fail() -> None:
            raise OSError("broken")

        far.handlers["fail"] = fail
        with pytest.raises(Gone):
            await link.call("fail")
    assert "fail failed" in caplog.text


async def test_broadcast_without_a_link_applies_messages_here_and_raises_what_the_listener_raises() -> None:
    broadcast, applied = Broadcast(), list[tuple[str, Key, int]]()

    async def purge(key: Key, number: int) -> None:
        applied.append(("purge", key, number))
        if key == "bad":
            raise Unavailable("the cache is away")

    async def change(key: Key, number: int) -> None:
        applied.append(("change", key, number))

    broadcast.subscribe("purge", purge)
    broadcast.subscribe("change", change)
    with pytest.raises(Unavailable):
        await broadcast.send("purge", Key("bad"))
    await broadcast.send("change", Key("a"))
    await broadcast.send("purge", Key("b"))
    assert applied == [("purge", "bad", 1), ("change", "a", 2), ("purge", "b", 3)]


async def test_broadcast_without_its_supervisor_is_refused() -> None:
    async with links() as (link, far):
        broadcast = Broadcast(link)
        far._writer.close()
        with pytest.raises(Overloaded, match="shutting down"):
            await broadcast.send("purge", Key("a"))


class Ended(Counter[int]):
    """Processes that ended, by index."""

    def __call__(self, index: int) -> None:
        self[index] += 1


def made(*arguments: str, ended: Ended | None = None) -> Supervisor:
    """Return a supervisor of stand-ins, each with its argument."""

    def command(index: int, link: int) -> list[str]:
        return [sys.executable, "-I", PROGRAM, arguments[index], str(link)]

    return Supervisor([[] for _ in arguments], command=command, ended=Ended() if ended is None else ended)


@asynccontextmanager
async def running(*arguments: str, ended: Ended | None = None) -> AsyncIterator[Supervisor]:
    """Run a supervisor of stand-ins; afterwards no process or descriptor is left."""
    async with nothing_left():
        supervisor = made(*arguments, ended=ended)
        try:
            await supervisor.start()
            yield supervisor
        finally:
            await supervisor.close()


def pids(supervisor: Supervisor) -> dict[int, int]:
    return {index: edge.process.pid for index, edge in supervisor._edges.items()}


async def applied(supervisor: Supervisor) -> list[list[Any]]:
    """Return the messages that each process has applied, by index."""
    answers = dict(zip(supervisor._edges, await supervisor.poll("check"), strict=True))
    return [answers[index] for index in sorted(answers)]


async def replaced(supervisor: Supervisor, index: int, pid: int) -> None:
    """Wait until a successor of process `pid` is ready."""
    await until(lambda: pids(supervisor).get(index, pid) != pid)
    await until(lambda: len(supervisor._ready) == len(supervisor._listeners))


async def test_broadcast_returns_when_every_process_has_applied_the_message_twice() -> None:
    async with running("", "") as supervisor:
        await supervisor.broadcast("purge", Key("a"))
        await supervisor.broadcast("purge", Key("b"))
        assert await applied(supervisor) == [[["purge", "a", 1]] * 2 + [["purge", "b", 2]] * 2] * 2


async def test_send_returns_when_every_process_has_applied_the_message() -> None:
    async with running("sender", "") as supervisor:
        await supervisor.broadcast("change", Key("send a"))
        async with asyncio.timeout(20):
            while ["sent", "a", 0] not in (messages := await applied(supervisor))[0]:
                pass
        purges = [["purge", "a", 2]] * 2
        assert [each for each in messages[0] if each[0] != "change"] == [*purges, ["sent", "a", 0]]
        assert [each for each in messages[1] if each[0] != "change"] == purges


async def test_process_that_ends_is_replaced_and_its_successor_receives_broadcasts() -> None:
    ended = Ended()
    async with running("", "", ended=ended) as supervisor:
        pid = pids(supervisor)[1]
        os.kill(pid, signal.SIGKILL)
        await replaced(supervisor, 1, pid)
        await supervisor.broadcast("purge", Key("c"))
        assert (await applied(supervisor))[1] == [["purge", "c", 1]] * 2
        assert ended == {1: 1}


@pytest.mark.parametrize("key", ["die", "fail"])
async def test_broadcast_to_a_process_that_does_not_apply_it_returns_when_that_is_gone(key: str) -> None:
    async with running("", "") as supervisor:
        before = pids(supervisor)
        await asyncio.wait_for(supervisor.broadcast("change", Key(key)), 20)
        assert not any(map(exists, before.values()))


async def test_broadcast_kills_a_process_that_does_not_acknowledge(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(multiprocess, "_ACKNOWLEDGE_SECONDS", 0.1)
    async with running("", "") as supervisor:
        before = pids(supervisor)
        await asyncio.wait_for(supervisor.broadcast("change", Key("stick")), 20)
        assert not any(map(exists, before.values()))
    assert "does not answer apply" in caplog.text


async def test_process_that_stops_answering_is_replaced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(multiprocess, "_PING_SECONDS", 0.01)
    async with running("", "") as supervisor:
        monkeypatch.setattr(multiprocess, "_SILENT_SECONDS", 1)
        stopped = pids(supervisor)[0]
        await until(lambda: not supervisor._edges[0].link._calls)  # the next ping is the first to be short
        os.kill(stopped, signal.SIGSTOP)
        await until(lambda: pids(supervisor).get(0, stopped) != stopped)
        monkeypatch.setattr(multiprocess, "_SILENT_SECONDS", 60)
        await replaced(supervisor, 0, stopped)
        assert not exists(stopped)
    assert "does not answer ping" in caplog.text


async def test_process_that_keeps_ending_is_started_after_pauses_that_grow(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)
    async with running("") as supervisor:
        pauses: list[float] = []
        pause = supervisor._pause

        async def noted(seconds: float) -> None:
            pauses.append(seconds)
            await pause(0)

        supervisor._pause = noted  # type: ignore[method-assign]
        for _ in range(4):
            pid = pids(supervisor)[0]
            os.kill(pid, signal.SIGKILL)
            await replaced(supervisor, 0, pid)
        assert pauses == pytest.approx([0.1, 0.3, 0.7, 1.5])
    assert "edge 0" in caplog.text
    assert "Killed" in caplog.text


async def test_failing_names_the_parts_that_any_process_reports_or_edges_without_an_answer() -> None:
    async with running("", "") as supervisor:
        assert await supervisor.failing() == []
        for index, parts in enumerate((["storage"], ["storage", "workers"])):
            supervisor._edges[index].link.call = partial_answer(parts)  # type: ignore[method-assign]
        assert await supervisor.failing() == ["storage", "workers"]
        await supervisor.drain(20)
        assert await supervisor.failing() == ["edges"]


def partial_answer(parts: list[str]) -> Any:
    async def call(name: str) -> list[str]:
        return parts

    return call


async def test_drain_lets_processes_end_by_themselves() -> None:
    ended = Ended()
    async with running("", "", ended=ended) as supervisor:
        before = pids(supervisor)
        await supervisor.drain(20)
        assert not any(map(exists, before.values()))
        assert not ended


async def test_drain_waits_no_longer_than_its_limit() -> None:
    async with running("", "slow") as supervisor:
        await supervisor.drain(1)
        assert set(pids(supervisor)) == {1}


async def test_start_of_processes_that_cannot_start_is_an_error() -> None:
    async with nothing_left():
        supervisor = made("mute", "mute")
        with pytest.raises(EngineFailed, match="no edge process could be started"):
            await supervisor.start()
        await supervisor.close()


async def test_start_of_a_program_that_does_not_exist_is_the_same_error() -> None:
    async with nothing_left():
        supervisor = Supervisor([[]], command=lambda *_: ["/nowhere"])
        with pytest.raises(EngineFailed, match="no edge process could be started"):
            await supervisor.start()
        await supervisor.close()


ECHO = """
import json, os, sys, socket
link = socket.socket(fileno=int(sys.argv[1])).makefile("rw")
found = [sorted(map(int, os.listdir("/proc/self/fd"))), os.readlink("/proc/self/fd/0"), os.getsid(0)]
link.write(json.dumps([1, "report", *found]) + "\\n")
link.flush()
link.readline()
"""


@pytest.fixture
def keyboard() -> Iterator[None]:
    """Something to be read on standard input."""
    kept, (read, write) = os.dup(0), os.pipe()
    os.dup2(read, 0)
    yield
    os.dup2(kept, 0)
    for each in (kept, read, write):
        os.close(each)


@pytest.mark.usefixtures("keyboard")
async def test_process_inherits_its_link_its_sockets_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reports = asyncio.Queue[tuple[list[int], str, int]]()

    async def report(*found: Any) -> None:
        reports.put_nowait(found)

    monkeypatch.setattr(Supervisor, "_is_ready", None)
    enter = Link.__aenter__

    async def entered(link: Link) -> Link:
        link.handlers["report"] = report
        return await enter(link)

    monkeypatch.setattr(Link, "__aenter__", entered)
    given: list[int] = []

    def command(_: int, link: int) -> list[str]:
        given.append(link)
        return [sys.executable, "-I", "-c", ECHO, str(link)]

    with closing(socket.socket()) as listening, closing(socket.socket()) as own:
        supervisor = Supervisor([[listening]], command=command)
        starting = asyncio.create_task(supervisor.start())
        descriptors, stdin, session = await asyncio.wait_for(reports.get(), 20)
        starting.cancel()
        await supervisor.close()
        assert {0, 1, 2, given[0], listening.fileno()} <= set(descriptors)
        assert own.fileno() not in descriptors
        assert (stdin, session != os.getsid(0)) == ("/dev/null", True)


def test_command_is_the_code_that_runs_here(tmp_path: Path) -> None:
    (tmp_path / "imgproxy").mkdir()
    (tmp_path / "imgproxy" / "__init__.py").write_text("raise SystemExit('another')")
    done = subprocess.run(
        [*COMMAND, "sign", "photo.jpg"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "IMGPROXY_SIGNING_SECRETS": "a-long-enough-secret"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr, done.stdout[-10:]) == (0, "", "photo.jpg\n")
