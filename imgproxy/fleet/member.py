"""One edge of several: asks its parent for pictures, tells and is told of what happens to keys."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from imgproxy.clients import Waiters
from imgproxy.engine.pool import Result
from imgproxy.engine.worker_protocol import Job
from imgproxy.errors import Overloaded
from imgproxy.fleet.channel import Channel, Gone, Lent
from imgproxy.fleet.words import (
    Await,
    CheckWorkers,
    Drain,
    Join,
    Kind,
    Listener,
    Listening,
    Measure,
    Notice,
    Run,
    Spread,
)
from imgproxy.image.source import Key

_log = logging.getLogger(__name__)


class Member:
    """An edge's place in its fleet; subscribe, then `join`, then listen, then say so."""

    def __init__(self, end: socket.socket, *, measure: Callable[[], bytes]) -> None:
        """`measure` gives the metrics of this process, as text."""
        self._channel = Channel(end, self._answer, gone=self._orphaned)
        self._listeners: dict[Kind, Listener] = {}
        self._measure = measure
        self._telling: set[asyncio.Task[None]] = set()
        self.dismissed = asyncio.Event()
        """Set when the parent wants us to end, or is gone."""

    async def join(self) -> None:
        """Act on all that the others know already; raise `Overloaded` if the parent is gone."""
        for notice in await self._ask(Join()):
            await self._hear(notice)

    async def listening(self) -> None:
        """Tell the parent that requests may come."""
        await self._ask(Listening())

    async def run(
        self,
        job: Job,
        original: int | None = None,
        overlays: Sequence[int] = (),
        waiters: Waiters | None = None,
    ) -> Result:
        """As `engine.pool`; cancelled, the job goes on as long as another edge wants it."""
        waiters = waiters or Waiters()
        descriptors = [each for each in (original, *overlays) if each is not None]
        with waiters.reported_to(partial(self._report, job.name)):
            result = await self._ask(Run(job, original is not None, waiters.names), descriptors)
        assert isinstance(result, Result)  # noqa: S101
        return result

    async def check(self) -> None:
        await self._ask(CheckWorkers())

    def subscribe(self, kind: Kind, listener: Listener) -> None:
        self._listeners[kind] = listener

    async def spread(self, kind: Kind, key: Key) -> None:
        await self._ask(Spread(kind, key))

    async def close(self) -> None:
        """Leave; the parent sees us end."""
        await self._channel.close()
        await asyncio.gather(*self._telling, return_exceptions=True)

    def _report(self, name: str, client: str) -> None:
        """Tell the parent that another client waits for a job, without waiting for that."""
        task = asyncio.create_task(self._tell(Await(name, client)))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell(self, what: Await) -> None:
        with suppress(Gone):
            await self._channel.ask(what)

    async def _ask(self, question: object, descriptors: Sequence[int] = ()) -> Any:
        try:
            return await self._channel.ask(question, descriptors)
        except Gone:
            raise Overloaded("the server is shutting down") from None

    async def _answer(self, question: object, _lent: Lent) -> object:
        match question:
            case Notice():
                await self._hear(question)
            case Measure():
                return self._measure()
            case Drain():
                self.dismissed.set()
        return None

    async def _hear(self, notice: Notice) -> None:
        await self._listeners[notice.kind](notice.key, notice.number)

    def _orphaned(self) -> None:
        if not self.dismissed.is_set():
            _log.error("the parent process is gone: this edge ends, too")
        self.dismissed.set()
