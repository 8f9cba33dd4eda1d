"""A worker inherits nothing, is asked one thing at a time, and ends once, for one reason."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from imgproxy.engine import worker_process
from imgproxy.engine.worker_process import Ended, WorkerProcess, launch
from imgproxy.engine.worker_protocol import Ready

_CHANNEL = "import json, os, socket, sys, time; channel = socket.socket(fileno=int(sys.argv[-1]))\n"
_READY = (
    'ready = lambda word="": json.dumps({"ready": {"libvips": word, "locks": [], "formats": []}}).encode()\n'
)
_TELL = "channel.send(json.dumps([dict(os.environ), os.getcwd(), os.getsid(0) == os.getpid()]).encode())\n"
_ECHO = "while said := channel.recv(1000): channel.send(ready(said.decode()))\n"
_ECHO_LATE = (
    "while said := channel.recv(1000):\n    if said == b'late': time.sleep(0.8)\n    channel.send(ready())\n"
)
_DEAF = "channel.send(ready()); time.sleep(60)\n"
_TAKE_AND_DIE = "channel.send(ready()); channel.recv(1000); sys.exit(3)\n"
_NONSENSE = "channel.send(b'nonsense'); time.sleep(60)\n"
_COMPLAIN = (
    "os.write(2, b'\\x1b[31mbad\\n\\x00'); channel.send(ready()); channel.recv(1)\n"
    "for _ in range(9):\n"
    "    try: os.write(2, b'x' * 30_000)\n"
    "    except BlockingIOError: pass\n"
    "channel.send(ready()); channel.recv(1)\n"
)


def command(program: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-c", _CHANNEL + _READY + program)


class Hired:
    """A worker that runs a program, and how often it was said to have ended."""

    def __init__(self, program: str) -> None:
        self.ends: list[WorkerProcess] = []
        self.worker = WorkerProcess(launch(command(program)), ended=self.ends.append)


@pytest.fixture
async def spawn() -> AsyncIterator[Callable[[str], Hired]]:
    """Hire workers; afterwards each is ended and reaped, and no descriptor may be left."""
    await asyncio.to_thread(str)
    before = _descriptors()
    hired: list[Hired] = []

    def spawn(program: str) -> Hired:
        hired.append(Hired(program))
        return hired[-1]

    yield spawn
    for each in hired:
        each.worker.end("closed")
        await asyncio.to_thread(each.worker.reap)
    assert _descriptors() == before


def _descriptors() -> int:
    gc.collect()  # a failed test of libvips may have left a source that holds a descriptor
    return len(list(Path("/proc/self/fd").iterdir()))


def _exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_a_worker_is_launched_with_nothing_of_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGPROXY_SIGNING_SECRETS", "s3cret")
    launched = launch(command(_TELL))
    launched.channel.setblocking(True)
    told = json.loads(launched.channel.recv(100_000))
    assert told == [worker_process.ENVIRONMENT, "/", True]
    launched.process.wait()
    launched.channel.close()
    os.close(launched.stderr)


def test_a_launch_that_fails_leaves_nothing_open() -> None:
    before = _descriptors()
    with pytest.raises(FileNotFoundError):
        launch(("/nowhere/python",))
    assert _descriptors() == before


async def test_it_answers_what_it_is_asked(spawn: Callable[[str], Hired]) -> None:
    hired = spawn(_ECHO)
    for word in ("one", "two"):
        assert await hired.worker.ask(word.encode(), (), seconds=10) == Ready(word, (), ())
    assert (hired.worker.jobs, hired.ends) == (2, [])
    assert 0 < hired.worker.worked_seconds < hired.worker.age


@pytest.mark.parametrize(
    ("program", "begun"), [(_TAKE_AND_DIE, True), (_DEAF, False)], ids=["taken", "not taken"]
)
async def test_it_is_known_whether_a_worker_that_died_had_taken_its_job(
    spawn: Callable[[str], Hired], program: str, begun: bool
) -> None:
    hired = spawn(program)
    await hired.worker.expect(10)
    answer = hired.worker.ask(b"a job", (), seconds=10)
    if program == _DEAF:
        os.kill(hired.worker.pid, signal.SIGKILL)
    with pytest.raises(Ended) as end:
        await answer
    assert (end.value.reason, end.value.begun) == ("crash", begun)


async def test_who_has_ended_is_asked_in_vain_and_the_first_reason_stands(
    spawn: Callable[[str], Hired],
) -> None:
    hired = spawn(_DEAF)
    hired.worker.end("retired")
    hired.worker.end("closed")
    with pytest.raises(Ended) as end:
        hired.worker.ask(b"a job", (), seconds=10)
    assert (end.value.reason, end.value.begun) == ("retired", False)
    assert (hired.ends, hired.worker.jobs) == ([hired.worker], 0)


@pytest.mark.parametrize(
    ("program", "reason"), [(_DEAF, "deadline"), (_NONSENSE, "garbage")], ids=["late", "nonsense"]
)
async def test_who_is_late_or_talks_nonsense_is_ended(
    spawn: Callable[[str], Hired], program: str, reason: str
) -> None:
    hired = spawn(program)
    if program == _DEAF:
        await hired.worker.expect(10)
    with pytest.raises(Ended, match=reason):
        await hired.worker.expect(0.1 if program == _DEAF else 10)
    assert hired.worker.reason == reason


async def test_hurrying_one_job_does_not_end_the_next(spawn: Callable[[str], Hired]) -> None:
    hired = spawn(_ECHO_LATE)
    await hired.worker.ask(b"warm up", (), seconds=10)
    first = hired.worker.ask(b"first", (), seconds=10)
    hired.worker.hurry(0.5)
    await first
    second = hired.worker.ask(b"late", (), seconds=10)  # it is under way when the first's time is over
    assert await second == Ready("", (), ())
    third = hired.worker.ask(b"late", (), seconds=10)
    hired.worker.hurry(0)
    with pytest.raises(Ended, match="abandoned"):
        await third


async def test_complaints_are_short_printable_and_slow_nobody_down(spawn: Callable[[str], Hired]) -> None:
    hired = spawn(_COMPLAIN)
    await hired.worker.expect(10)
    assert hired.worker.read_stderr() == "[31mbad\n"
    assert hired.worker.read_stderr() == ""
    await hired.worker.ask(b"complain", (), seconds=10)
    assert hired.worker.read_stderr() == "x" * 4_000


async def test_the_dead_are_told_of_with_their_last_words() -> None:
    worker = WorkerProcess(launch(command("sys.exit('it cannot be')")), ended=lambda _: None)
    with pytest.raises(Ended, match="crash"):
        await worker.expect(10)
    told = await asyncio.to_thread(worker.reap)
    assert told in ("exit status 1; it said: it cannot be\n", "Killed; it said: it cannot be\n")
    assert not _exists(worker.pid)
    assert worker.data_bytes() == 0
