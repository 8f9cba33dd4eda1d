"""There are as many workers as there should be; where there cannot be, it is said, and when to give up."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from imgproxy.engine.worker_process import WorkerProcess
from imgproxy.engine.worker_protocol import Ready
from imgproxy.engine.worker_supervisor import WorkerSupervisor
from imgproxy.errors import EngineFailed

_SAY = (
    "import socket, sys; channel = socket.socket(fileno=int(sys.argv[-1]))\n"
    "channel.send(sys.argv[1].encode()); channel.recv(1)"
)
READY = '{"ready": {"libvips": "none", "locks": [], "formats": []}}'
REFUSAL = '{"error": "EngineFailed", "message": "libvips 8.14 is too old"}'
NONSENSE = "nonsense"
NEVER = ("/nowhere/python",)


def says(first_word: str) -> tuple[str, ...]:
    """A worker that says one thing, and ends when its server does."""
    return (sys.executable, "-I", "-c", _SAY, first_word)


class Witness:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.arrivals: list[WorkerProcess] = []
        self.departures: list[WorkerProcess] = []
        self.despairs = 0

    def worker_ready(self, worker: WorkerProcess) -> None:
        self.arrivals.append(worker)

    def worker_ended(self, worker: WorkerProcess) -> None:
        self.departures.append(worker)

    def crash_looped(self) -> None:
        self.despairs += 1


MakeSupervisor = Callable[..., WorkerSupervisor]


@pytest.fixture
async def make_supervisor() -> AsyncIterator[MakeSupervisor]:
    """Make supervisors, of one sound worker unless said otherwise; each is closed in the end."""
    supervisors: list[WorkerSupervisor] = []

    def make(witness: Witness, target: int = 1, **chosen: Any) -> WorkerSupervisor:
        settings = {"command": says(READY), "start_seconds": 10, "listener": witness, **chosen}
        supervisors.append(WorkerSupervisor(target, **settings))
        return supervisors[-1]

    yield make
    for each in supervisors:
        await each.close()


async def until(holds: Callable[[], object]) -> None:
    """Wait for what must come to be; the test fails if it does not within 10 s."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110  what is awaited is in other processes
            await asyncio.sleep(0.005)


def exists(worker: WorkerProcess) -> bool:
    return Path(f"/proc/{worker.pid}").exists()


async def test_all_arrive_before_it_has_started_and_closing_leaves_none(
    make_supervisor: MakeSupervisor,
) -> None:
    witness = Witness()
    supervisor = make_supervisor(witness, 3)
    assert await supervisor.start() == supervisor.ready == Ready("none", (), ())
    assert (len(witness.arrivals), supervisor.spawning, supervisor.crash_looping) == (3, 0, False)
    await supervisor.close()
    assert set(witness.departures) == set(witness.arrivals)
    assert [exists(worker) for worker in witness.arrivals] == [False] * 3
    assert not supervisor.ends


async def test_one_who_has_worked_is_replaced_at_once(
    make_supervisor: MakeSupervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgproxy.engine.worker_supervisor._DIED_IDLE_PAUSE", 60)
    witness = Witness()
    supervisor = make_supervisor(witness, 2)
    await supervisor.start()
    worn = witness.arrivals[0]
    worn.jobs = 1
    worn.end("retired")
    assert (witness.departures, supervisor.spawning) == (
        [worn],
        1,
    )  # told at once: one at a time may be retired
    await until(lambda: len(witness.arrivals) == 3)
    await until(lambda: supervisor.spawning == 0)
    assert supervisor.ends == {"retired": 1}


async def test_one_who_dies_without_a_job_is_replaced_after_a_pause(make_supervisor: MakeSupervisor) -> None:
    witness, loop = Witness(), asyncio.get_running_loop()
    supervisor = make_supervisor(witness)
    await supervisor.start()
    witness.arrivals[0].end("crash")
    died = loop.time()
    await until(lambda: len(witness.arrivals) == 2)
    assert loop.time() - died > 0.9


async def test_closing_waits_for_no_pause(
    make_supervisor: MakeSupervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgproxy.engine.worker_supervisor._DIED_IDLE_PAUSE", 60)
    witness = Witness()
    supervisor = make_supervisor(witness)
    await supervisor.start()
    witness.arrivals[0].end("crash")
    await asyncio.wait_for(supervisor.close(), 10)
    assert (len(witness.arrivals), supervisor.spawning) == (1, 0)


async def test_a_refused_start_is_an_error_at_once_in_the_workers_words(
    make_supervisor: MakeSupervisor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A libvips that is too old will not be newer at the third try."""
    witness = Witness()
    supervisor = make_supervisor(witness, command=says(REFUSAL))
    with pytest.raises(EngineFailed, match=r"libvips 8\.14 is too old"):
        await supervisor.start()
    await supervisor.close()
    assert (witness.arrivals, witness.departures) == ([], [])
    assert "try 1; trying again" in caplog.text
    assert "try 3" not in caplog.text


@pytest.mark.parametrize("required", [True, False])
async def test_start_without_a_lock_is_refused_where_locks_are_required(
    make_supervisor: MakeSupervisor, required: bool
) -> None:
    witness = Witness()
    locks = READY.replace('"locks": []', '"locks": ["no-new-privileges", "rlimits", "landlock"]')
    supervisor = make_supervisor(witness, command=says(locks), require_locks=required)
    if not required:
        assert (await supervisor.start()).locks == ("no-new-privileges", "rlimits", "landlock")
        return
    with pytest.raises(
        EngineFailed, match=r"lacks seccomp: seccomp needs libseccomp\.so\.2.*IMGPROXY_SANDBOX"
    ):
        await supervisor.start()
    assert witness.arrivals == []
    assert supervisor.ends == {"unlocked": 1}


@pytest.mark.parametrize(
    ("command", "settings"),
    [(NEVER, {}), (says(NONSENSE), {}), (says(""), {}), (("/bin/sleep", "60"), {"start_seconds": 0.05})],
    ids=["no program", "nonsense", "nothing said", "never ready"],
)
async def test_other_failures_are_tried_three_times_before_it_despairs(
    make_supervisor: MakeSupervisor,
    caplog: pytest.LogCaptureFixture,
    command: tuple[str, ...],
    settings: dict[str, float],
) -> None:
    witness = Witness()
    supervisor = make_supervisor(witness, command=command, **settings)
    with pytest.raises(EngineFailed, match="no worker could be started; the log knows why"):
        await supervisor.start()
    await supervisor.close()
    assert (witness.arrivals, witness.despairs) == ([], 1)
    tries = [each for each in caplog.records if "did not become ready" in each.getMessage()]
    assert [each.args for each in tries] == [(1,), (2,), (3,)]


async def test_nobody_despairs_while_one_is_left(
    make_supervisor: MakeSupervisor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Only the first to be launched ever gets ready."""
    script = f'mkdir {tmp_path}/taken 2>/dev/null || exit 1; exec "$0" "$@"'
    witness = Witness()
    supervisor = make_supervisor(witness, 2, command=("/bin/sh", "-c", script, *says(READY)))
    starting = asyncio.create_task(supervisor.start())
    await until(lambda: "try 3" in caplog.text)
    assert (len(witness.arrivals), witness.despairs, supervisor.crash_looping) == (1, 0, False)
    assert not starting.done()
    witness.arrivals[0].end("crash")
    with pytest.raises(EngineFailed):
        await starting
    assert supervisor.crash_looping


async def test_hope_returns_with_the_first_who_is_ready(
    make_supervisor: MakeSupervisor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    program = tmp_path / "worker"
    good = "exec " + " ".join(f"'{each}'" for each in says(READY)) + ' "$@"\n'
    program.write_text("exit 1\n")
    witness = Witness()
    supervisor = make_supervisor(witness, command=("/bin/sh", str(program)))
    with pytest.raises(EngineFailed):
        await supervisor.start()
    program.write_text(good)
    await until(lambda: witness.arrivals)
    assert not supervisor.crash_looping
