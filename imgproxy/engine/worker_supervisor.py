"""Supervisor of workers: spawns, reaps and replaces them, and logs when it cannot.

A worker that ends is replaced in the background. A failed start is logged and retried without end, at growing
intervals. After three failures in a row with no worker left, the supervisor is `crash_looping`: jobs fail at
once instead of waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from imgproxy.engine import sandbox
from imgproxy.engine.worker_process import Ended, WorkerProcess, launch
from imgproxy.engine.worker_protocol import Ready
from imgproxy.errors import EngineFailed

_CRASH_LOOP_AFTER = 3
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_DIED_IDLE_PAUSE = 1.0
"""Before replacing one that died without a job: what dies on sight is not started as fast as it dies."""

_log = logging.getLogger(__name__)


class WorkerListener(Protocol):
    """Receiver of workers' starts and ends."""

    def worker_ready(self, worker: WorkerProcess) -> None:
        """Take a started worker."""

    def worker_ended(self, worker: WorkerProcess) -> None:
        """Remove a worker that has ended."""

    def crash_looped(self) -> None:
        """Handle that no worker is left and none can be started."""


class WorkerSupervisor:
    """`target` workers, started by `command`, each given `start_seconds` to be ready."""

    def __init__(
        self,
        target: int,
        *,
        command: Sequence[str],
        start_seconds: float,
        listener: WorkerListener,
        require_locks: bool = False,
    ) -> None:
        """Refuse a worker whose sandbox lacks a lock if `require_locks`."""
        self._target = target
        self._command = command
        self._start_seconds = start_seconds
        self._listener = listener
        self._require_locks = require_locks
        self._threads = ThreadPoolExecutor(2, "imgproxy-workers")  # they must outlive workers
        self._alive: set[WorkerProcess] = set()
        self._at_work: set[WorkerProcess] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()
        self._failures = 0
        self.spawning = 0
        self.ends: Counter[str] = Counter()
        self.ready: Ready | None = None
        self._refusal: EngineFailed | None = None

    @property
    def crash_looping(self) -> bool:
        """Return whether no worker is left and none can be started."""
        return not self._at_work and (self._refusal is not None or self._failures >= _CRASH_LOOP_AFTER)

    async def start(self) -> Ready:
        """Start all, and wait until they are ready; raise `EngineFailed` if they cannot start."""
        spawns = [self._begin_spawn() for _ in range(self._target)]
        while not all(spawn.done() for spawn in spawns):
            await asyncio.wait(spawns, timeout=_FIRST_PAUSE)
            if self.crash_looping:
                raise self._refusal or EngineFailed("no worker could be started; the log knows why")
        assert self.ready is not None  # noqa: S101
        return self.ready

    async def close(self) -> None:
        """End all, and leave no process, descriptor or thread behind."""
        self._closing.set()
        for worker in list(self._alive):
            worker.end("closed")
        while self._tasks:
            await asyncio.wait(self._tasks)
        self._threads.shutdown()

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _begin_spawn(self, pause: float = 0) -> asyncio.Task[None]:
        self.spawning += 1  # now, not when the task runs: `_is_worn` reads it before
        return self._begin(self._spawn(pause))

    async def _spawn(self, pause: float) -> None:
        """Try until a worker is ready, with a pause that doubles after each that is not."""
        try:
            await self._rest(pause)
            while not self._closing.is_set() and not await self._spawn_one():
                await self._rest(min(_FIRST_PAUSE * 2 ** min(self._failures, 10), _LONGEST_PAUSE))
        finally:
            self.spawning -= 1

    async def _rest(self, seconds: float) -> None:
        if seconds:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), seconds)

    async def _spawn_one(self) -> bool:
        worker = await self._launch()
        ready = await self._first_word(worker) if worker is not None else None
        if worker is None or not isinstance(ready, Ready):
            self._refusal = ready if isinstance(ready, EngineFailed) else None
            self._failed()
            return False
        self._failures = 0
        self.ready = ready
        self._at_work.add(worker)
        self._listener.worker_ready(worker)
        return True

    async def _launch(self) -> WorkerProcess | None:
        loop = asyncio.get_running_loop()
        try:
            launched = await loop.run_in_executor(self._threads, launch, self._command)
        except OSError as error:
            _log.error("a worker cannot be started: %s", error)
            return None
        worker = WorkerProcess(launched, ended=self._ended)
        self._alive.add(worker)
        if self._closing.is_set():
            worker.end("closed")
        return worker

    async def _first_word(self, worker: WorkerProcess) -> object:
        if worker.reason is not None:
            return None
        try:
            word = await worker.expect(self._start_seconds)
        except Ended:
            return None
        if not isinstance(word, Ready):
            worker.end("garbage")
        elif self._require_locks and (lack := sandbox.shortcoming(word.locks)):
            worker.end("unlocked")
            return EngineFailed(f"{lack}; IMGPROXY_SANDBOX=prefer serves without")
        return word

    def _failed(self) -> None:
        if self._closing.is_set():
            return
        self._failures += 1
        _log.error("a worker did not become ready, try %d; trying again", self._failures)
        if self.crash_looping:
            self._listener.crash_looped()

    def _ended(self, worker: WorkerProcess) -> None:
        """Reap a worker that is being killed, and spawn another in its place."""
        self._alive.discard(worker)
        self._begin(self._reap(worker))
        if worker.reason != "closed":
            self.ends[worker.reason or "crash"] += 1
        if worker not in self._at_work:
            return
        self._at_work.remove(worker)
        if not self._closing.is_set():
            self._begin_spawn(_DIED_IDLE_PAUSE if worker.jobs == 0 else 0)
        self._listener.worker_ended(worker)

    async def _reap(self, worker: WorkerProcess) -> None:
        """Collect the dead process, on a thread: freeing gigabytes takes a while."""
        how = await asyncio.get_running_loop().run_in_executor(self._threads, worker.reap)
        expected = worker.reason in ("retired", "closed")
        _log.log(
            logging.DEBUG if expected else logging.WARNING,
            *("worker %d has ended after %d jobs (%s): %s", worker.pid, worker.jobs, worker.reason, how),
        )
