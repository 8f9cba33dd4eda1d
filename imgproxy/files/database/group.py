"""Threads that run work in groups: what waits together shares one transaction, one hop, one answer.

A hop to a thread and back costs more than a small read, and a commit more than a small write. Work runs
bare at first; only if some of a group fails is the group undone and run again, each with a savepoint of its
own, so that what fails undoes itself alone. Nobody is answered before the commit.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from imgproxy.files.database import T, Work

_LARGEST = 64  # larger ones let the first wait, and gain nothing


@dataclass(frozen=True, slots=True)
class _Waiting:
    work: Work[Any]
    outcome: asyncio.Future[Any]


_Answer = tuple[_Waiting, Any, BaseException | None]


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection of one thread, and how it speaks of transactions: `begin` and such, past SQLAlchemy."""

    connection: Connection
    say: Callable[[str], object]


class Line:
    """Runs work in the order it came; `connect` is called in each of its threads."""

    def __init__(
        self,
        connect: Callable[[], Connected],
        *,
        name: str,
        threads: int,
        begin: str,
        translate: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._connect = connect
        self._begin = begin
        self._translate = translate
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._run, name=name, daemon=True) for _ in range(threads)]
        self._started = False

    async def run(self, work: Work[T]) -> T:
        """Run work in a transaction. Who is cancelled while he waits has written nothing, or everything."""
        if not self._started:
            self._started = True
            for thread in self._threads:
                thread.start()
        outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.put(_Waiting(work, outcome))
        return await outcome

    def end(self) -> None:
        """Run what waits, and end the threads."""
        if self._started:
            for _ in self._threads:
                self._waiting.put(None)
            for thread in self._threads:
                thread.join()

    def _run(self) -> None:
        here: Connected | None = None
        while (group := self._next()) is not None:
            asked = [each for each in group if not each.outcome.cancelled()]
            try:
                with self._translate():
                    here = here or self._connect()
                    answers = self._together(here, asked)
            except BaseException as error:
                answers = [(each, None, error) for each in asked]
            _tell(answers)

    def _next(self) -> list[_Waiting] | None:
        """Wait for work, and take a fair share of what has come meanwhile; None at the end."""
        group: list[_Waiting] = []
        share = 1
        while len(group) < share:
            each = self._waiting.get()
            if each is None:
                if not group:
                    return None
                self._waiting.put(None)
                break
            group.append(each)
            if len(group) == 1:
                share = min(_LARGEST, 1 + self._waiting.qsize() // len(self._threads))
            if self._waiting.empty():
                break
        return group

    def _together(self, here: Connected, group: Sequence[_Waiting]) -> list[_Answer]:
        here.say(self._begin)
        try:
            answers: list[_Answer] = [(each, each.work(here.connection), None) for each in group]
        except BaseException as error:
            here.say("ROLLBACK")
            if len(group) > 1 and isinstance(error, Exception):
                return self._apart(here, group)
            raise
        self._commit(here)
        return answers

    def _apart(self, here: Connected, group: Sequence[_Waiting]) -> list[_Answer]:
        here.say(self._begin)
        try:
            answers = [self._alone(here, each) for each in group]
        except BaseException:
            here.say("ROLLBACK")
            raise
        self._commit(here)
        return answers

    def _alone(self, here: Connected, each: _Waiting) -> _Answer:
        here.say("SAVEPOINT one")
        try:
            with self._translate():
                answer: _Answer = (each, each.work(here.connection), None)
        except Exception as error:
            here.say("ROLLBACK TO one")
            answer = (each, None, error)
        here.say("RELEASE one")
        return answer

    def _commit(self, here: Connected) -> None:
        try:
            here.say("COMMIT")
        except Exception:
            with suppress(Exception):
                here.say("ROLLBACK")
            raise


def _tell(answers: Iterable[_Answer]) -> None:
    """Hand answers to those who wait, with one call for each loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Answer]] = {}
    for answer in answers:
        by_loop.setdefault(answer[0].outcome.get_loop(), []).append(answer)
    for loop, those in by_loop.items():
        with suppress(RuntimeError):  # closed: nobody waits any more
            loop.call_soon_threadsafe(_answer, those)


def _answer(answers: Iterable[_Answer]) -> None:
    for waiting, result, error in answers:
        if waiting.outcome.done():
            continue
        if error is None:
            waiting.outcome.set_result(result)
        else:
            waiting.outcome.set_exception(error)
