"""Jobs run in their order, bounded in every way, and a worker that goes takes no more than its own job."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imgproxy import errors
from imgproxy.engine import pipeline, sandbox, vips, worker_process
from imgproxy.engine.pool import Pool, Result
from imgproxy.engine.worker_protocol import Job
from imgproxy.image.formats import Format
from imgproxy.image.negotiate import Output
from imgproxy.waiters import Waiters
from tests.engine import stand_in
from tests.engine.jobs import JOB, original

COMMAND = (sys.executable, "-I", str(Path(stand_in.__file__).resolve()))


@asynccontextmanager
async def running(size: int = 1, queue: int = 10, **settings: Any) -> AsyncIterator[Pool]:
    """A started pool of stand-ins; afterwards neither a process nor a descriptor may be left."""
    async with nothing_left():
        pool = Pool(size, queue, **({"command": COMMAND} | settings))
        await pool.start()
        try:
            yield pool
        finally:
            await pool.close(1)


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """Count processes, the dead ones too, and descriptors, once the loop has its own."""
    await asyncio.to_thread(str)
    gc.collect()  # a failed test of libvips may have left a source that holds a descriptor
    before = _descriptors()
    yield
    assert _children() == set()
    assert _descriptors() == before


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


_strangers: set[int] = set()
"""Processes that other tests have started in this one, such as a storage server."""


@pytest.fixture(autouse=True)
def _know_strangers() -> None:
    _strangers.clear()
    _strangers.update(_children())


def _children() -> set[int]:
    pids: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):  # a thread has ended since
            pids.update(int(pid) for pid in (task / "children").read_text().split())
    return pids - _strangers


def _state(pid: int) -> str:
    """One letter for what a process is doing; T is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


async def ask(pool: Pool, text: str, *, job: Job = JOB, client: str | None = None) -> Result:
    """Run a job that does what `text` says."""
    with original(text) as descriptor:
        return await pool.run(job, descriptor, (), Waiters(client) if client else None)


async def until(holds: Callable[[], object]) -> None:
    """Wait for what must come to be; the test fails if it does not within 10 s."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110  what is awaited is in other processes
            await asyncio.sleep(0.005)


async def test_a_job_comes_back_with_its_bytes() -> None:
    async with running() as pool:
        result = await ask(pool, "echo hello")
    assert result.body == b"echo hello"
    assert result.rendered.size == 10
    assert 0 <= result.waited_seconds < result.worked_seconds + 1


async def test_it_counts_what_became_of_its_jobs() -> None:
    async with running() as pool:
        for text in ("echo", "echo", "refuse", "crash"):
            with suppress(errors.ImgproxyError):
                await ask(pool, text)
        assert pool.outcomes == {"made": 2, "UnsupportedImage": 1, "crash": 1}


async def test_overlay_follow_the_original() -> None:
    async with running() as pool:
        with original("echo") as first, original(" a") as second, original(" b") as third:
            result = await pool.run(replace(JOB, overlays=("a", "b")), first, (second, third))
    assert result.body == b"echo a b"


async def test_a_result_larger_than_is_copied_at_once_is_whole() -> None:
    async with running() as pool:
        assert (await ask(pool, "many 5")).body == bytes(5 * 1024**2)


async def test_it_says_what_its_workers_are() -> None:
    async with running() as pool:
        assert pool.ready.locks == ("no-new-privileges", "rlimits", "landlock", "seccomp")


async def test_an_error_for_the_asker_reaches_the_asker() -> None:
    async with running() as pool:
        with pytest.raises(errors.UnsupportedImage, match="the source image is no picture"):
            await ask(pool, "refuse")
        assert not pool.ends


async def test_two_jobs_on_one_original_do_not_disturb_each_other() -> None:
    """Whatever the position of the descriptor that is lent, each reads from the beginning."""
    async with running(2, 20) as pool:
        with original("echo hello") as descriptor:
            results = await asyncio.gather(*(pool.run(JOB, descriptor) for _ in range(20)))
    assert {result.body for result in results} == {b"echo hello"}


async def test_a_worker_cannot_change_the_original() -> None:
    async with running() as pool:
        with original("write") as descriptor:
            with pytest.raises(errors.EngineFailed):
                await pool.run(JOB, descriptor)
            assert os.pread(descriptor, 100, 0) == b"write"


async def test_a_descriptor_that_is_not_open_costs_no_worker() -> None:
    async with running() as pool:
        with pytest.raises(OSError, match="No such file"):
            await pool.run(JOB, 999)
        assert (await ask(pool, "echo")).body == b"echo"


async def test_a_crash_is_its_own_jobs_trouble_and_the_spare_takes_over() -> None:
    async with running(2) as pool:
        crash = asyncio.create_task(ask(pool, "crash"))
        neighbour = asyncio.create_task(ask(pool, "sleep 0.2"))
        with pytest.raises(errors.TransformFailed, match="brought its worker down"):
            await crash
        assert (await ask(pool, "echo")).waited_seconds < 0.01
        assert (await neighbour).body == b"sleep 0.2"
        assert pool.ends == {"crash": 1}


async def test_a_worker_that_leaves_without_a_word_has_crashed() -> None:
    async with running() as pool:
        with pytest.raises(errors.TransformFailed):
            await ask(pool, "quit")


async def test_a_dead_worker_is_replaced() -> None:
    async with running(2) as pool:
        with pytest.raises(errors.TransformFailed):
            await ask(pool, "crash")
        await until(lambda: pool.idle == 3)
        assert len(_children()) == 3


async def test_a_job_that_was_not_begun_runs_on_another_worker() -> None:
    """The worker is stopped, is sent a job that it cannot take, and is killed: the job never was its."""
    async with running(1, spare=1) as pool:
        await ask(pool, "echo")
        stopped = _children()
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        await until(lambda: all(_state(pid) == "T" for pid in stopped))
        task = asyncio.create_task(ask(pool, "echo again"))
        await until(lambda: pool.running == 1)
        for pid in stopped:
            os.kill(pid, signal.SIGKILL)
        assert (await task).body == b"echo again"


async def test_a_job_that_was_begun_does_not_run_again() -> None:
    async with running() as pool:
        task = asyncio.create_task(ask(pool, "sleep 30"))
        await until(lambda: pool.running == 1)
        await asyncio.sleep(0.2)  # the worker has taken it by then
        for pid in _children():
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(errors.TransformFailed):
            await task


async def test_kills_under_load_cost_one_job_each_at_most() -> None:
    async with running(2, 200, spare=2) as pool:
        jobs = [asyncio.create_task(ask(pool, "spin 0.01")) for _ in range(150)]
        kills = 0
        while not all(job.done() for job in jobs) and kills < 5:
            await asyncio.sleep(0.1)
            await until(lambda: pool.idle)
            os.kill(min(_children()), signal.SIGKILL)
            kills += 1
        results = await asyncio.gather(*jobs, return_exceptions=True)
    failed = [result for result in results if isinstance(result, BaseException)]
    assert len(failed) <= kills
    assert {type(each) for each in failed} <= {errors.TransformFailed}


async def test_a_job_is_asked_to_stop_at_its_deadline_and_its_worker_lives() -> None:
    async with running() as pool:
        with pytest.raises(errors.DeadlinePassed):
            await ask(pool, "obey 30", job=replace(JOB, seconds=0.1))
        assert not pool.ends


@pytest.mark.parametrize("stuck", ["sleep 30", "spin 30"])
async def test_a_job_that_does_not_stop_is_killed(stuck: str) -> None:
    async with running() as pool:
        with pytest.raises(errors.DeadlinePassed, match=r"longer than 0\.1 seconds"):
            await ask(pool, stuck, job=replace(JOB, seconds=0.1))
        assert pool.ends == {"deadline": 1}
        assert (await ask(pool, "echo")).body == b"echo"


async def test_no_job_may_run_longer_than_the_pool_allows() -> None:
    async with running(deadline=0.1) as pool:
        with pytest.raises(errors.DeadlinePassed):
            await ask(pool, "obey 30", job=replace(JOB, seconds=60))


async def test_jobs_run_in_the_order_they_came_and_not_more_at_once_than_may() -> None:
    async with running(1, spare=2) as pool:
        order: list[int] = []

        async def one(number: int) -> None:
            await ask(pool, "spin 0.01")
            assert pool.running <= 1
            order.append(number)

        await asyncio.gather(*(one(number) for number in range(8)))
    assert order == list(range(8))


async def test_run_for_a_newcomer_waits_for_no_more_than_one_job_of_another_client() -> None:
    async with running(1, 20) as pool:
        order: list[str] = []

        async def one(client: str, number: int) -> None:
            await ask(pool, "sleep 0.02", client=client)
            order.append(f"{client}{number}")

        greedy = [asyncio.create_task(one("a", number)) for number in range(8)]
        await until(lambda: pool.waiting == 7)
        await asyncio.gather(one("b", 1), one("c", 1), *greedy)
    assert order[:4] == ["a0", "b1", "c1", "a1"]


async def test_run_for_work_in_the_background_has_a_turn_of_its_own() -> None:
    async with running(1, 20) as pool:
        first = asyncio.create_task(ask(pool, "sleep 0.1"))
        await until(lambda: pool.running == 1)
        order: list[str | None] = []

        async def one(client: str | None) -> None:
            await ask(pool, "echo", client=client)
            order.append(client)

        await asyncio.gather(*(one(client) for client in (None, None, "a", "a")), first)
    assert order == ["a", None, "a", None]


async def test_run_that_another_client_joins_is_called_up_in_its_turn() -> None:
    async with running(1, 20) as pool:
        order: list[int] = []
        waiters = [Waiters("a") for _ in range(6)]

        async def one(number: int) -> None:
            with original("spin 0.01") as descriptor:
                await pool.run(JOB, descriptor, (), waiters[number])
            order.append(number)

        jobs = [asyncio.create_task(one(number)) for number in range(6)]
        await until(lambda: pool.waiting == 5)
        waiters[5].join(Waiters("b"))
        await asyncio.gather(*jobs)
    assert order == [0, 5, 1, 2, 3, 4]


async def test_run_with_a_full_queue_refuses_the_last_of_the_client_with_the_most() -> None:
    async with running(1, 3) as pool:
        greedy = [asyncio.create_task(ask(pool, "sleep 0.1", client="a")) for _ in range(4)]
        await until(lambda: pool.waiting == 3)
        assert (await ask(pool, "echo", client="b")).body == b"echo"
        with pytest.raises(errors.Overloaded):
            await greedy[3]
        assert len(await asyncio.gather(*greedy[:3])) == 3


async def test_run_that_is_cancelled_as_a_worker_is_free_leaves_it_to_the_next() -> None:
    async with running(1, 5) as pool:
        first = asyncio.create_task(ask(pool, "sleep 0.3"))
        await until(lambda: pool.running == 1)
        second, third = (asyncio.create_task(ask(pool, "echo")) for _ in range(2))
        await until(lambda: pool.waiting == 2)
        second.cancel()
        pool._size += 1
        pool._start_waiting()  # in the very moment
        assert (await third).body == b"echo"
        await first


async def test_whoever_comes_when_the_queue_is_full_is_refused_at_once() -> None:
    async with running(1, 2) as pool:
        jobs = [asyncio.create_task(ask(pool, "sleep 0.3")) for _ in range(3)]
        await until(lambda: pool.waiting == 2)
        with pytest.raises(errors.Overloaded) as refused:
            await ask(pool, "echo")
        assert refused.value.retry_after >= 1
        assert len(await asyncio.gather(*jobs)) == 3


async def test_nobody_waits_longer_than_a_job_may_run() -> None:
    async with running(1, deadline=0.3) as pool:
        first = asyncio.create_task(ask(pool, "sleep 0.5"))
        await until(lambda: pool.running == 1)
        with pytest.raises(errors.Overloaded):
            await ask(pool, "echo")
        assert pool.waiting == 0
        await first


async def test_leaving_the_queue_makes_room() -> None:
    async with running(1, 1) as pool:
        first = asyncio.create_task(ask(pool, "sleep 0.2"))
        second = asyncio.create_task(ask(pool, "echo"))
        await until(lambda: pool.waiting == 1)
        second.cancel()
        await until(lambda: pool.waiting == 0)
        assert (await ask(pool, "echo third")).body == b"echo third"
        await first


async def test_leaving_in_the_moment_of_being_called_up_gives_the_worker_back() -> None:
    async with running(1) as pool:
        first = asyncio.create_task(ask(pool, "echo"))
        second = asyncio.create_task(ask(pool, "echo"))
        first.add_done_callback(lambda _: second.cancel())
        await asyncio.wait([first, second])
        assert (await ask(pool, "echo third")).body == b"echo third"
        await until(lambda: pool.running == 0)


async def test_a_short_job_that_nobody_waits_for_ends_by_itself() -> None:
    async with running() as pool:
        task = asyncio.create_task(ask(pool, "sleep 0.1"))
        await until(lambda: pool.running == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert pool.running == 1
        assert (await ask(pool, "echo")).body == b"echo"
        assert not pool.ends


async def test_a_long_job_that_nobody_waits_for_is_ended() -> None:
    async with running() as pool:
        task = asyncio.create_task(ask(pool, "sleep 30"))
        await until(lambda: pool.running == 1)
        task.cancel()
        await until(lambda: pool.ends == {"abandoned": 1})
        assert (await ask(pool, "echo")).body == b"echo"


async def test_a_worker_that_talks_nonsense_is_ended_and_we_are_at_fault() -> None:
    async with running() as pool:
        with pytest.raises(errors.EngineFailed):
            await ask(pool, "babble")
        assert pool.ends == {"garbage": 1}


async def test_a_worker_that_talks_unasked_is_ended() -> None:
    async with running() as pool:
        with pytest.raises(errors.BrokenImage, match="first"):
            await ask(pool, "blab")
        await until(lambda: pool.ends == {"garbage": 1})
        assert (await ask(pool, "echo")).body == b"echo"


async def test_a_result_that_is_not_as_large_as_said_is_not_believed() -> None:
    async with running() as pool:
        with pytest.raises(errors.EngineFailed):
            await ask(pool, "lie")


async def test_what_a_worker_complains_of_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with running() as pool:
        with pytest.raises(errors.EngineFailed):
            await ask(pool, "defect")
    assert "a secret that only the log may know" in caplog.text


async def test_a_worker_is_replaced_after_its_number_of_jobs_and_nobody_waits() -> None:
    async with running(recycle_jobs=2) as pool:
        before = _children()
        for _ in range(2):
            await ask(pool, "echo")
        assert pool.ends == {"retired": 1}
        assert (await ask(pool, "echo")).waited_seconds < 0.01
        await until(lambda: pool.idle == 2)
        assert len(_children() - before) == 1


async def test_a_worker_makes_one_job_alone_where_recycle_jobs_is_1_and_the_next_finds_a_spare() -> None:
    async with running(2, recycle_jobs=1, spare=2) as pool:
        pids: list[int] = []
        for _ in range(2):
            before = _children()
            await asyncio.gather(*(ask(pool, "echo") for _ in range(2)))
            await until(lambda: pool.idle == 4)
            pids += before - _children()
        assert len(set(pids)) == 4
        results = await asyncio.gather(*(ask(pool, "echo") for _ in range(10)))
        assert len(results) == 10
        await until(lambda: pool.ends == {"retired": 14} and pool.idle == 4)
        assert len(_children()) == 4


async def test_kills_under_load_of_workers_for_one_job_lose_no_job_that_was_not_begun() -> None:
    async with running(2, 50, recycle_jobs=1, spare=2) as pool:
        jobs = [asyncio.create_task(ask(pool, "spin 0.01")) for _ in range(20)]
        kills = 0
        while not all(job.done() for job in jobs) and kills < 3:
            await until(lambda: pool.idle or all(job.done() for job in jobs))
            if children := _children():
                os.kill(min(children), signal.SIGKILL)
            kills += 1
            assert len(_children()) <= 12  # those that are being reaped counted
        results = await asyncio.gather(*jobs, return_exceptions=True)
        await until(lambda: pool.idle == 4)
    failed = [result for result in results if isinstance(result, BaseException)]
    assert len(failed) <= kills


async def test_start_without_a_lock_warns_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "shortcoming", lambda _: "the sandbox lacks landlock")
    async with running(2):
        pass
    warned = [each.getMessage() for each in caplog.records if "landlock" in each.getMessage()]
    assert warned == ["the sandbox lacks landlock; IMGPROXY_SANDBOX=require would not serve so"]
    with pytest.raises(errors.EngineFailed, match="lacks landlock"):
        async with running(2, require_locks=True):
            pass


async def test_a_worker_that_keeps_memory_is_replaced() -> None:
    async with running(memory=300 * 1024**2) as pool:
        await ask(pool, "grow 150")
        for _ in range(20):
            await ask(pool, "echo")
        assert pool.ends == {"retired": 1}


async def test_a_worker_is_replaced_when_it_is_old() -> None:
    async with running(recycle_seconds=0) as pool:
        await ask(pool, "echo")
        assert pool.ends == {"retired": 1}


async def test_closing_lets_running_and_waiting_jobs_finish() -> None:
    async with running() as pool:
        jobs = [asyncio.create_task(ask(pool, "sleep 0.1")) for _ in range(3)]
        await until(lambda: pool.waiting == 2)
        await pool.close(10)
        assert [job.result().body for job in jobs] == [b"sleep 0.1"] * 3


async def test_closing_refuses_new_jobs() -> None:
    async with running() as pool:
        job = asyncio.create_task(ask(pool, "sleep 0.2"))
        await until(lambda: pool.running == 1)
        closing = asyncio.create_task(pool.close(10))
        await asyncio.sleep(0)
        with pytest.raises(errors.Overloaded, match="shutting down"):
            await ask(pool, "echo")
        await asyncio.wait([job, closing])


async def test_closing_ends_what_does_not_finish() -> None:
    async with running() as pool:
        stuck = asyncio.create_task(ask(pool, "sleep 30"))
        waiting = asyncio.create_task(ask(pool, "echo"))
        await until(lambda: pool.waiting == 1)
        await pool.close(0.1)
        with pytest.raises(errors.EngineFailed):
            await stuck
        with pytest.raises(errors.Overloaded):
            await waiting


@pytest.mark.parametrize("command", [(*COMMAND, "loud"), ("/nowhere/python",)])
async def test_workers_that_cannot_start_are_an_error_at_once(
    command: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    async with nothing_left():
        with pytest.raises(errors.EngineFailed, match="no worker could be started"):
            await Pool(1, 1, command=command).start()
    said = "\n".join(each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING)
    assert "it cannot be" in said or "No such file" in said


async def test_a_worker_that_never_gets_ready_is_given_up() -> None:
    async with nothing_left():
        with pytest.raises(errors.EngineFailed, match="no worker could be started"):
            await Pool(1, 1, command=(*COMMAND, "mute"), start_seconds=0.1).start()


async def test_when_no_worker_is_left_and_none_starts_nobody_waits_for_ever(tmp_path: Path) -> None:
    """And when workers can be started again, all is well."""
    program = tmp_path / "worker"
    good, bad = f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n', "#!/bin/sh\nexit 1\n"
    program.write_text(good)
    async with running(1, command=("/bin/sh", str(program)), deadline=10) as pool:
        program.write_text(bad)
        for _ in range(2):
            with pytest.raises(errors.TransformFailed):
                await ask(pool, "crash")
        with pytest.raises(errors.EngineFailed, match="no worker can be started"):
            await ask(pool, "echo")  # waits, then is told
        with pytest.raises(errors.EngineFailed, match="no worker can be started"):
            await asyncio.wait_for(ask(pool, "echo"), 0.1)
        program.write_text(good)
        await until(lambda: pool.idle)
        assert (await ask(pool, "echo")).body == b"echo"


LABEL = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="120" height="40"><rect width="120" height="40" '
    'fill="white"/><text x="4" y="28" font-size="20">Hamburg</text></svg>'
)


async def test_a_locked_worker_makes_the_same_picture_as_a_free_one_fonts_included() -> None:
    """Byte for byte: without its fonts behind the lock, text would be boxes."""
    job = replace(JOB, output=Output((Format.PNG,)))
    with original(LABEL) as descriptor, original("") as free:
        vips.prepare()
        pipeline.render(job, descriptor, (), free, stop=lambda _: None)
        async with running(command=worker_process.COMMAND) as pool:
            result = await pool.run(job, descriptor)
        assert (result.rendered.width, result.rendered.height) == (120, 40)
        assert result.body == os.pread(free, 1_000_000, 0)
