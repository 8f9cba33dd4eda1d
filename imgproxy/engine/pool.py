"""Pool of started workers: jobs wait in a fair queue of clients, and everything is bounded.

At most `size` jobs run and at most `queue` wait. If the queue is full, the client with the most jobs loses
its last one to a client with fewer; otherwise the new job fails at once. A slot is held while a worker works,
never during a download or while a response drains. There are `spare` workers beyond the slots, so replacing
one does not delay the next job. Answers of workers are validated; a job that crashes its worker fails alone.

Each job gets its own read-only file descriptions of the descriptors lent to it. Otherwise two jobs on one
source would share a file position, and a compromised worker could change bytes that others read.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

from imgproxy.engine import sandbox
from imgproxy.engine.fair_queue import FairQueue
from imgproxy.engine.worker_process import COMMAND, Answer, Ended, Reason, WorkerProcess
from imgproxy.engine.worker_protocol import MESSAGE_BYTES, Job, Ready, Rendered, dump_job
from imgproxy.engine.worker_supervisor import WorkerSupervisor
from imgproxy.errors import DeadlinePassed, EngineFailed, ImgproxyError, Overloaded, TransformFailed
from imgproxy.waiters import Waiters

_TRIES = 3
"""For a job whose worker died before it took the job."""
_GRACE = 0.5
"""Seconds after the deadline in which a worker may report it, before it is killed."""
_ABANDONED = 1.0
"""Seconds that a job without waiting clients may go on. A busy worker receives no message; killing it costs a
start of 0.1 s of CPU, which is more than most jobs have left, and less than a long one."""
_INLINE_BYTES = 1024 * 1024
"""Larger results are copied on a thread: 1 MiB takes 0.2 ms."""
_WEIGHED_EVERY = 16
"""Jobs between two looks at a worker's memory, which take 0.06 ms each."""
_LONGEST_RETRY = 30

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Result:
    """A finished job."""

    rendered: Rendered
    body: bytes
    waited_seconds: float
    """In the queue."""
    worked_seconds: float
    """From the worker taking it to its answer."""


class Pool:
    """A pool of workers; `start` it on a running loop, `run` jobs, `close` it."""

    def __init__(
        self,
        size: int,
        queue: int,
        deadline: float = 15,
        *,
        spare: int = 1,
        recycle_jobs: int = 10_000,
        recycle_seconds: float = 3600,
        memory: int = sandbox.MEMORY,
        require_locks: bool = False,
        command: Sequence[str] = COMMAND,
        start_seconds: float = 30,
    ) -> None:
        """Limit the running and the waiting of a job to `deadline` seconds each."""
        self._size = size
        self._queue = queue
        self._deadline = deadline
        self._recycle_jobs = recycle_jobs
        self._recycle_seconds = recycle_seconds
        self._recycle_data = memory // 2
        self._idle: list[WorkerProcess] = []  # the last to come back is the next to go: its caches are warm
        self._running: set[WorkerProcess] = set()
        self._waiting: FairQueue[asyncio.Future[WorkerProcess]] = FairQueue()
        self._mean_seconds = 0.05
        self._closing = False
        self.outcomes: Counter[str] = Counter()
        """How many jobs workers were given, by what came of them."""
        self._quiet = asyncio.Event()
        self._supervisor = WorkerSupervisor(
            size + spare,
            command=(*command, str(memory)),
            start_seconds=start_seconds,
            listener=self,
            require_locks=require_locks,
        )

    @property
    def running(self) -> int:
        """Jobs that workers have."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Jobs that wait for a worker."""
        return len(self._waiting)

    @property
    def idle(self) -> int:
        """Number of started workers without a job."""
        return len(self._idle)

    @property
    def ends(self) -> Mapping[str, int]:
        """Number of workers that have ended, by reason."""
        return self._supervisor.ends

    @property
    def ready(self) -> Ready:
        """Capabilities and sandbox locks of the last worker that started."""
        if self._supervisor.ready is None:
            raise EngineFailed("no worker has started yet")
        return self._supervisor.ready

    async def check(self) -> None:
        """Raise `EngineFailed` if no worker is alive."""
        if not self._running and not self._idle:
            raise EngineFailed("no worker is alive")

    async def start(self) -> None:
        """Start the workers and wait until they are warm; raise `EngineFailed` if they cannot start."""
        try:
            ready = await self._supervisor.start()
        except BaseException:
            await self._supervisor.close()
            raise
        if lack := sandbox.shortcoming(ready.locks):
            _log.warning("%s; IMGPROXY_SANDBOX=require would not serve so", lack)
        _log.info("workers are ready: libvips %s, locked in by %s", ready.libvips, ", ".join(ready.locks))

    async def close(self, seconds: float = 10) -> None:
        """Refuse new jobs, let running ones finish for `seconds`, then end every worker."""
        self._closing = True
        if self._running or self._waiting:
            self._quiet.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._quiet.wait(), seconds)
        self._refuse_waiting(Overloaded("the server is shutting down"))
        await self._supervisor.close()

    async def run(
        self,
        job: Job,
        source: int | None = None,
        overlays: Sequence[int] = (),
        waiters: Waiters | None = None,
    ) -> Result:
        """Run a job in the turn of a client that waits for it; raise an `ImgproxyError`.

        The descriptors are files, are read from their beginning, and stay open. A job that is cancelled is
        dropped while it waits, and ended after a second while it runs.
        """
        job = job if job.seconds <= self._deadline else replace(job, seconds=self._deadline)
        message = dump_job(job)
        if len(message) > MESSAGE_BYTES:
            raise EngineFailed("the image could not be made")
        waiters = waiters or Waiters()
        asked = time.monotonic()
        for attempt in range(_TRIES):
            worker = await self._take(waiters, first=attempt > 0)
            waited = time.monotonic() - asked
            try:
                return await self._run_on(worker, message, job, (source, *overlays), waited)
            except Ended as end:
                if end.begun:
                    raise _blame(end.reason, job) from end
        raise EngineFailed("the image could not be made")

    async def _take(self, waiters: Waiters, *, first: bool) -> WorkerProcess:
        """Wait in line for a slot and a worker; `first` for a job that has waited already."""
        if self._closing:
            raise Overloaded("the server is shutting down")
        client = waiters.turns[0]
        if not self._waiting and (worker := self._next_worker()) is not None:
            self._waiting.count_turn(client)
            return worker
        if self._supervisor.crash_looping:
            raise EngineFailed("no worker can be started")
        if len(self._waiting) >= self._queue and not first:
            last = self._waiting.evictable(client)
            if last is None:
                raise self._overloaded()
            self._refuse(last)
        place: asyncio.Future[WorkerProcess] = asyncio.get_running_loop().create_future()
        if first:
            self._waiting.add_first(place, client)
        else:
            self._waiting.add(place, waiters.turns)
        with waiters.reported_to(partial(self._waiting.join, place)):
            return await self._wait(place)

    async def _wait(self, place: asyncio.Future[WorkerProcess]) -> WorkerProcess:
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._deadline, self._refuse, place)
        try:
            return await place
        except asyncio.CancelledError:
            if place in self._waiting:
                self._waiting.remove(place)
            elif not place.cancelled() and place.exception() is None:  # called up in the very moment
                self._release(place.result())
            raise
        finally:
            timer.cancel()

    def _refuse(self, place: asyncio.Future[WorkerProcess]) -> None:
        if place in self._waiting:
            self._waiting.remove(place)
            if not place.done():
                place.set_exception(self._overloaded())

    def _overloaded(self) -> Overloaded:
        """Return the error for a full line, to be tried again when it has probably passed."""
        seconds = math.ceil((len(self._waiting) + 1) * self._mean_seconds / self._size)
        return Overloaded("too many images are being made", retry_after=min(seconds, _LONGEST_RETRY))

    async def _run_on(
        self, worker: WorkerProcess, message: bytes, job: Job, lent: Sequence[int | None], waited: float
    ) -> Result:
        with ExitStack() as descriptors:
            result = os.memfd_create("result", os.MFD_CLOEXEC)
            descriptors.callback(os.close, result)
            answered = self._ask(worker, message, job, [result], lent)
            try:
                answer = await asyncio.shield(answered)  # it is the worker's, not to be cancelled with us
            except asyncio.CancelledError:
                worker.hurry(_ABANDONED)
                raise
            rendered = _believable(answer, os.fstat(result).st_size)
            if rendered.size <= _INLINE_BYTES:
                body = os.pread(result, rendered.size, 0)
            else:
                descriptors.pop_all()  # the thread's from here on, which may outlive us
                body = await asyncio.to_thread(_read_and_close, result, rendered.size)
        return Result(rendered, body, waited, worker.worked_seconds)

    def _ask(
        self,
        worker: WorkerProcess,
        message: bytes,
        job: Job,
        ours: Sequence[int],
        lent: Sequence[int | None],
    ) -> asyncio.Future[Answer]:
        """Send the job; the worker is free again when it has answered, even if no client waits."""
        with ExitStack() as opened:
            try:
                for each in lent:
                    if each is not None:
                        ours = (*ours, anew := os.open(f"/proc/self/fd/{each}", os.O_RDONLY | os.O_CLOEXEC))
                        opened.callback(os.close, anew)
                answered = worker.ask(message, ours, seconds=job.seconds + _GRACE)
            except BaseException:
                self._release(worker)
                raise
        answered.add_done_callback(lambda _: self._finished(worker, answered))
        return answered

    def _finished(self, worker: WorkerProcess, answered: asyncio.Future[Answer]) -> None:
        """Log what the worker wrote on stderr, and release it."""
        self.outcomes[_outcome(answered)] += 1
        if worker.reason is None and (said := worker.read_stderr()):
            failed = isinstance(answered.result(), EngineFailed)
            _log.log(logging.WARNING if failed else logging.DEBUG, "worker %d said: %s", worker.pid, said)
        self._release(worker)

    @property
    def _has_free_worker(self) -> bool:
        return bool(self._idle) and len(self._running) < self._size

    def _next_worker(self) -> WorkerProcess | None:
        if not self._has_free_worker:
            return None
        worker = self._idle.pop()
        self._running.add(worker)
        return worker

    def _release(self, worker: WorkerProcess) -> None:
        """Return a worker that has answered to the idle ones; one that has ended was removed before."""
        if worker not in self._running:
            return
        self._running.remove(worker)
        self._mean_seconds += 0.1 * (worker.worked_seconds - self._mean_seconds)
        self._idle.append(worker)
        if self._is_worn(worker):
            worker.end("retired")
        self._start_waiting()

    def _is_worn(self, worker: WorkerProcess) -> bool:
        """Return whether to replace a worker; one at a time, so that the spare takes its place."""
        if self._recycle_jobs == 1:
            return True
        return not self._supervisor.spawning and (
            worker.jobs >= self._recycle_jobs
            or worker.age >= self._recycle_seconds
            or (worker.jobs % _WEIGHED_EVERY == 0 and worker.data_bytes() >= self._recycle_data)
        )

    def _start_waiting(self) -> None:
        """Give free workers to waiting jobs, in the queue's order."""
        while self._waiting and self._has_free_worker:
            place = self._waiting.pop()
            if not place.done() and (worker := self._next_worker()) is not None:  # else it is just leaving
                place.set_result(worker)
        if not self._running and not self._waiting:
            self._quiet.set()

    def worker_ready(self, worker: WorkerProcess) -> None:
        """Add a started worker."""
        self._idle.append(worker)
        self._start_waiting()

    def worker_ended(self, worker: WorkerProcess) -> None:
        """Remove a worker that has ended."""
        self._running.discard(worker)
        if worker in self._idle:
            self._idle.remove(worker)
        self._start_waiting()

    def crash_looped(self) -> None:
        """Fail all waiting jobs: no worker can be started."""
        self._refuse_waiting(EngineFailed("no worker can be started"))

    def _refuse_waiting(self, error: ImgproxyError) -> None:
        while self._waiting:
            place = self._waiting.pop()
            if not place.done():
                place.set_exception(error)


def _outcome(answered: asyncio.Future[Answer]) -> str:
    """Return the outcome as a label: `made`, the error's name, or why the worker ended."""
    ended = answered.exception()
    if isinstance(ended, Ended):
        return ended.reason
    answer = answered.result()
    return "made" if isinstance(answer, Rendered) else type(answer).__name__


def _blame(reason: Reason, job: Job) -> ImgproxyError:
    """Return the error for a job whose worker ended."""
    if reason == "deadline":
        return DeadlinePassed(f"the image took longer than {job.seconds:g} seconds")
    if reason == "crash":
        return TransformFailed("the image brought its worker down, by too much time or memory, or a fault")
    return EngineFailed("the image could not be made")


def _believable(answer: Answer, size: int) -> Rendered:
    """Return the validated answer; raise if the result's size is not the declared one."""
    if isinstance(answer, ImgproxyError):
        raise answer
    if not isinstance(answer, Rendered) or answer.size != size:
        raise EngineFailed("the image could not be made")
    return answer


def _read_and_close(descriptor: int, size: int) -> bytes:
    """Copy a result out; not mapped, since a worker that still has it could change or shorten it."""
    try:
        return os.pread(descriptor, size, 0)
    finally:
        os.close(descriptor)
