"""One thread that writes: what waits together is committed together.

Each piece of work has a savepoint of its own, so that one that fails undoes itself alone. Nobody is answered
before the commit.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from imgproxy.files.database import T, Work

_LARGEST = 64  # larger ones let the first wait, and gain nothing


@dataclass(frozen=True, slots=True)
class _Write:
    work: Work[Any]
    outcome: Future[Any]


class Writer:
    """Runs all writes of a database, in the order they came; `connect` is called in its thread."""

    def __init__(
        self, connect: Callable[[], Connection], *, translate: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._connect = connect
        self._translate = translate
        self._waiting: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._connection: Connection | None = None
        self._thread: threading.Thread | None = None

    async def write(self, work: Work[T]) -> T:
        """Run work in a transaction. Who is cancelled while he waits has written nothing, or everything."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="record-writes", daemon=True)
            self._thread.start()
        write = _Write(work, Future())
        self._waiting.put(write)
        result: T = await asyncio.wrap_future(write.outcome)
        return result

    def end(self) -> None:
        """Write what waits, and end the thread."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (group := self._next()) is not None:
            self._commit([write for write in group if write.outcome.set_running_or_notify_cancel()])

    def _next(self) -> list[_Write] | None:
        """Wait for a write, and take those that have come meanwhile; None at the end."""
        first = self._waiting.get()
        if first is None:
            return None
        group = [first]
        while len(group) < _LARGEST and not self._waiting.empty():
            another = self._waiting.get()
            if another is None:
                self._waiting.put(None)
                break
            group.append(another)
        return group

    def _commit(self, group: list[_Write]) -> None:
        answers: list[Callable[[], None]] = []
        try:
            with self._translate():
                if self._connection is None:
                    self._connection = self._connect()
                with self._connection.begin():
                    answers.extend(_attempt(self._connection, write) for write in group)
        except BaseException as error:
            for write in group:
                write.outcome.set_exception(error)
            return
        for answer in answers:
            answer()


def _attempt(connection: Connection, write: _Write) -> Callable[[], None]:
    """Run one piece of work; return what answers whoever waits for it, once it is committed."""
    connection.exec_driver_sql("SAVEPOINT one")
    try:
        result = write.work(connection)
    except Exception as error:
        failure = error
        connection.exec_driver_sql("ROLLBACK TO one")
        connection.exec_driver_sql("RELEASE one")
        return lambda: write.outcome.set_exception(failure)
    connection.exec_driver_sql("RELEASE one")
    return lambda: write.outcome.set_result(result)
