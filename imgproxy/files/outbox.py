"""The outbox's worker: keeps what was promised, at least once, until it is done or given up in plain sight.

Any number of processes may share one outbox: a task is leased to one of them, and comes due again by itself
if that one vanishes. A try is given up well before its lease ends, and whoever comes too late has nothing
more to say of it. What fails waits ever longer; after the tenth try, three and a half hours after the
first, it waits for a person.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

from imgproxy.errors import FileNotFound, ImgproxyError, NotFound
from imgproxy.files.database import Database
from imgproxy.files.finalize import Tell
from imgproxy.files.model import Task, TaskKind, TenantId
from imgproxy.files.repository import outbox
from imgproxy.image.source import Key
from imgproxy.storage import Storage

_log = logging.getLogger(__name__)

TRIES = 10
LEASE_MS = 120_000
_TRY_SECONDS = 60.0
_AT_ONCE = 8
_POLL_SECONDS = 1.0
_COUNT_SECONDS = 15.0
_LEAVE_SECONDS = 5.0
_FIRST_PAUSE_MS = 5_000
_LONGEST_PAUSE_MS = 3_600_000
_LONGEST_ERROR = 500

Handler = Callable[[Task], Awaitable[None]]
"""Does what a task promises; doing it again does no harm."""


class Front(Protocol):
    """The caches in front of us."""

    async def forget(self, key: Key) -> None:
        """Have them forget a file; raise an `ImgproxyError` if one did not."""


def handlers(objects: Storage, front: Front) -> Mapping[TaskKind, Handler]:
    """Return the handlers of tasks by kind; `outbox_tasks` describes the payloads."""

    async def delete(task: Task) -> None:
        await objects.delete(Key(task.payload["key"]))

    async def abort(task: Task) -> None:
        await objects.multipart.abort(Key(task.payload["key"]), task.payload["upload"])

    async def purge(task: Task) -> None:
        await front.forget(Key(task.payload["key"]))

    return {"delete": delete, "abort": abort, "purge": purge}


def pause_after(attempts: int) -> int:
    """Milliseconds to wait after so many tries: three times as long each time, an hour at most."""
    return int(min(_FIRST_PAUSE_MS * 3 ** (attempts - 1), _LONGEST_PAUSE_MS))


class OutboxWorker:
    """Works in the background of one process, on a few tasks at once."""

    def __init__(
        self,
        database: Database,
        handlers: Mapping[TaskKind, Handler],
        *,
        clock: Callable[[], int],
        patience: float = _TRY_SECONDS,
    ) -> None:
        """`clock` tells milliseconds since 1970; a try of more than `patience` seconds has failed."""
        self._database = database
        self._handlers = handlers
        self._clock = clock
        self._patience = patience
        self._woken = asyncio.Event()
        self._closed = False
        self._trying: set[asyncio.Task[None]] = set()
        self._loop: asyncio.Task[None] | None = None
        self._counted_at = -_COUNT_SECONDS
        self.outcomes: Counter[tuple[str, ...]] = Counter()
        """Tries by kind and by what came of them: `done`, `failed`, `dead`."""
        self.waiting = 0
        self.dead = 0

    def start(self) -> None:
        """Begin to work, in the running loop."""
        self._loop = asyncio.create_task(self._run())

    def wake(self) -> None:
        """Look at once: something was just promised."""
        self._woken.set()

    def wake_after(self, tell: Tell) -> Tell:
        """Return `tell` that also wakes the worker, because most changes add a task."""

        async def told(key: Key) -> None:
            self.wake()
            await tell(key)

        return told

    async def close(self) -> None:
        """Begin nothing more, and wait a while for what is under way; what does not end comes due again."""
        self._closed = True
        self.wake()
        if self._loop is not None:
            await self._loop
        if self._trying:
            await asyncio.wait(self._trying, timeout=_LEAVE_SECONDS)
        for trying in self._trying:
            trying.cancel()
        await asyncio.gather(*self._trying, return_exceptions=True)

    async def drain(self) -> int:
        """Try everything that is due, and return how often something was tried."""
        tried = 0
        while tasks := await self._lease(_AT_ONCE):
            await asyncio.gather(*map(self._try, tasks))
            tried += len(tasks)
        return tried

    async def count(self) -> None:
        """Look how many tasks there are, for the metrics."""
        self.waiting, self.dead = await self._database.read(outbox.count_tasks)

    async def list(self, tenant: TenantId, *, dead: bool | None, limit: int) -> list[Task]:
        """Return a tenant's tasks that are not done, oldest first; all, or those that are or are not dead."""
        return await self._database.read(
            lambda connection: outbox.list_tasks(connection, tenant, dead=dead, limit=limit)
        )

    async def retry(self, tenant: TenantId, id_: str) -> Task:
        """Make a tenant's dead task due now; raise `FileNotFound` if there is none."""
        now = self._clock()
        task = await self._database.write(lambda c: outbox.retry_dead_task(c, tenant, id_, now=now))
        if task is None:
            raise FileNotFound("there is no dead task of this id")
        self.wake()
        return task

    async def _run(self) -> None:
        while not self._closed:
            self._woken.clear()
            try:
                pause = await self._begin()
            except ImgproxyError as error:
                _log.warning("the outbox cannot be read: %s", error)
                pause = _POLL_SECONDS
            except Exception:
                _log.exception("a defect in the outbox")
                pause = _POLL_SECONDS
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), pause)

    async def _begin(self) -> float:
        """Begin what is due and fits in; return how many seconds may pass before looking again."""
        await self._count_now_and_then()
        due = await self._database.read(outbox.next_due)
        wait = _POLL_SECONDS if due is None else (due - self._clock()) / 1000
        free = _AT_ONCE - len(self._trying)
        if wait > 0 or not free:
            return min(max(wait, 0.001), _POLL_SECONDS) if free else _POLL_SECONDS
        tasks = await self._lease(free)
        for task in tasks:
            self._spawn(task)
        return 0.0 if len(tasks) == free else _POLL_SECONDS

    async def _count_now_and_then(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._counted_at >= _COUNT_SECONDS:
            self._counted_at = now
            await self.count()

    async def _lease(self, limit: int) -> Sequence[Task]:
        now = self._clock()
        lease = partial(outbox.lease_tasks, now=now, lease_until=now + LEASE_MS, limit=limit)
        return await self._database.write(lambda connection: lease(connection))

    def _spawn(self, task: Task) -> None:
        trying = asyncio.create_task(self._try(task))
        self._trying.add(trying)
        trying.add_done_callback(self._ended)

    def _ended(self, trying: asyncio.Task[None]) -> None:
        self._trying.discard(trying)
        self.wake()

    async def _try(self, task: Task) -> None:
        try:
            if task.attempts > TRIES:  # each try before this one brought its process down
                await self._failed(task, "the process ended while this was tried")
                return
            failure = await self._attempt(task)
            if failure is None:
                await self._database.write(lambda connection: outbox.finish_task(connection, task.id))
                self.outcomes[task.kind, "done"] += 1
            else:
                await self._failed(task, failure)
        except ImgproxyError as error:  # the lease ends by itself, and the task is tried again
            _log.warning("what came of task %s could not be written down: %s", task.id, error)

    async def _attempt(self, task: Task) -> str | None:
        """Do it once; return what went wrong."""
        try:
            async with asyncio.timeout(self._patience):
                await self._handlers[task.kind](task)
        except NotFound:
            return None
        except TimeoutError:
            return f"not done within {self._patience:.0f} s"
        except ImgproxyError as error:
            return f"{type(error).__name__}: {error}"
        except Exception as error:
            _log.exception("a defect in task %s", task.id)
            return type(error).__name__
        return None

    async def _failed(self, task: Task, failure: str) -> None:
        now, error = self._clock(), failure[:_LONGEST_ERROR]
        if task.attempts >= TRIES:
            bury = partial(outbox.mark_task_dead, id_=task.id, now=now, error=error, attempt=task.attempts)
            await self._database.write(lambda connection: bury(connection))
            self.outcomes[task.kind, "dead"] += 1
            _log.error("task %s (%s) is given up after %d tries: %s", task.id, task.kind, TRIES, error)
            return
        until = now + pause_after(task.attempts)
        await self._database.write(
            lambda connection: outbox.delay_task(
                connection, task.id, not_before=until, error=error, attempt=task.attempts
            )
        )
        self.outcomes[task.kind, "failed"] += 1
        _log.warning("task %s (%s) failed, try %d: %s", task.id, task.kind, task.attempts, error)
