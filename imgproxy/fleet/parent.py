"""The parent of the edges: keeps so many alive, answers what they ask, and tells all what happens to keys.

An edge that ends is replaced at once; one that ends before it has served for a while, after a pause that
grows. One that does not answer any more is ended. Its listening sockets are the parent's, so what connects
meanwhile waits and is not refused.

Notices are numbered here, by one counter. The last ones are remembered, one for each key, and told to an edge
that joins: what is under way for the others may be older, and it must not take part in that.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from typing import Protocol

from cachetools import LRUCache

from imgproxy.engine.pool import Result
from imgproxy.errors import EngineFailed
from imgproxy.fleet.channel import Gone, Handler, Lent
from imgproxy.fleet.process import EdgeProcess, launch
from imgproxy.fleet.words import (
    Await,
    CheckWorkers,
    Drain,
    Join,
    Kind,
    Listening,
    Measure,
    Notice,
    Pulse,
    Run,
    Spread,
)
from imgproxy.image.source import Key

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_PROVEN_SECONDS = 10.0
"""Who has listened for so long is replaced without a pause."""
_HOPELESS_AFTER = 3
"""Edges in a row that ended before they listened, while the first ones are started."""
_SPREAD_SECONDS = 20.0
_MEASURE_SECONDS = 2.0
_PULSE_SECONDS = 5.0
_SILENT_SECONDS = 60.0
"""Without an answer; a start on a machine that is busy takes some of that."""
_REMEMBERED = 65_536

_log = logging.getLogger(__name__)


class Engine(Protocol):
    """What is needed of `fleet.workshop`."""

    async def run(self, asked: Run, lent: Lent) -> Result:
        """Make a picture with the descriptors that were lent."""

    def join(self, asked: Await) -> None:
        """Let a job under way be called up in another client's turn, too."""


class Parent:
    """`start` it on a running loop, `drain` it, and `close` it in any case."""

    def __init__(
        self,
        *,
        listeners: Sequence[Sequence[socket.socket]],
        command: Callable[[int, int], Sequence[str]],
        engine: Engine,
        check: Callable[[], Awaitable[None]],
    ) -> None:
        """An edge for each of `listeners`, started by what `command` makes of its index and its channel.

        `check` raises `EngineFailed` if no worker is alive.
        """
        self._listeners = listeners
        self._command = command
        self._engine = engine
        self._check = check
        self._edges: dict[int, EdgeProcess] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._spreading: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(len(listeners), "imgproxy-parent")  # to wait for each that ends
        self._closing = asyncio.Event()
        self._changed = asyncio.Event()
        self._stillborn = 0
        self._numbers = count(1)
        self._remembered: LRUCache[tuple[Kind, Key], int] = LRUCache(_REMEMBERED)
        self.restarts: Counter[str] = Counter()
        """How many edges were replaced, by index."""

    @property
    def alive(self) -> int:
        """Edges that listen."""
        return sum(edge.listening.is_set() for edge in self._edges.values())

    async def start(self) -> None:
        """Start all, and wait until they listen; raise `EngineFailed` if they cannot be started."""
        self._keepers = [asyncio.create_task(self._keep(index)) for index in range(len(self._listeners))]
        while self.alive < len(self._listeners):
            if self._stillborn >= _HOPELESS_AFTER:
                raise EngineFailed("no edge could be started; the log knows why")
            self._changed.clear()
            await self._changed.wait()

    async def check(self) -> None:
        """Raise `EngineFailed` if no edge listens."""
        if not self.alive:
            raise EngineFailed("no edge is alive")

    async def spread(self, kind: Kind, key: Key) -> None:
        """Number a notice and tell it to every edge; when this returns, all have acted on it.

        It is told twice. An edge that acts early may still find on disk what another put there before that
        acted, and take it into its memory; when all have acted once, no more of it comes, and the second
        time drops what came. One that ends meanwhile has forgotten all it knew.
        """
        notice = Notice(kind, key, next(self._numbers))
        self._remembered[kind, key] = notice.number
        try:
            async with asyncio.timeout(_SPREAD_SECONDS):
                for _ in range(2):
                    edges = [edge for edge in self._edges.values() if edge.joined]
                    await asyncio.gather(*(_say(edge, notice) for edge in edges))
        except TimeoutError:
            raise EngineFailed("an edge has not answered in time") from None

    async def measure(self) -> Mapping[str, bytes]:
        """Every edge's metrics by its index, but of those that do not answer."""
        edges = dict(self._edges)
        texts = await asyncio.gather(*(_measure(edge) for edge in edges.values()))
        return {str(index): text for index, text in zip(edges, texts, strict=True) if text}

    async def drain(self, seconds: float) -> None:
        """Have every edge finish what is under way, for so long."""
        self._closing.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(_say(edge, Drain()) for edge in self._edges.values()))
                await asyncio.gather(*map(asyncio.shield, self._keepers))

    def kill(self) -> None:
        """End every edge at once."""
        self._closing.set()
        for edge in self._edges.values():
            edge.kill()

    async def close(self) -> None:
        """Leave no process, descriptor or thread behind."""
        self.kill()
        await asyncio.gather(*self._keepers, *self._spreading, return_exceptions=True)
        self._threads.shutdown()

    async def _keep(self, index: int) -> None:
        """Have an edge at this place, until we close."""
        failures = 0
        while not self._closing.is_set():
            begun = time.monotonic()
            listened = await self._attend(index)
            self._changed.set()
            if self._closing.is_set():
                return
            self.restarts[str(index)] += 1
            proven = listened and time.monotonic() - begun > _PROVEN_SECONDS
            failures = 0 if proven else failures + 1
            await self._rest(min(_FIRST_PAUSE * 2 ** (failures - 1), _LONGEST_PAUSE) if failures > 1 else 0)

    async def _attend(self, index: int) -> bool:
        """Start an edge and stay with it to its end; whether it came to listen."""
        loop = asyncio.get_running_loop()
        command = partial(self._command, index)
        try:
            launched = await loop.run_in_executor(self._threads, launch, command, self._listeners[index])
        except OSError as error:
            _log.error("edge %d cannot be started: %s", index, error)
            self._stillborn += 1
            return False
        edge = self._edges[index] = EdgeProcess(launched, self._answers)
        if self._closing.is_set():
            edge.kill()
        await self._until_gone(edge, index)
        del self._edges[index]
        await edge.channel.close()
        how = await loop.run_in_executor(self._threads, edge.bury)
        if not self._closing.is_set():
            _log.error("edge %d, process %d, has ended (%s); another is started", index, edge.pid, how)
        self._stillborn = 0 if edge.listening.is_set() else self._stillborn + 1
        return edge.listening.is_set()

    async def _until_gone(self, edge: EdgeProcess, index: int) -> None:
        """Feel its pulse now and then, and end an edge that has none."""
        while not await _happens(edge.gone, within=_PULSE_SECONDS):
            try:
                async with asyncio.timeout(_SILENT_SECONDS):
                    await _say(edge, Pulse())
            except TimeoutError:
                _log.error("edge %d, process %d, does not answer: it is ended", index, edge.pid)
                edge.kill()
                await edge.gone.wait()

    async def _rest(self, seconds: float) -> None:
        await _happens(self._closing, within=seconds)

    def _answers(self, edge: EdgeProcess) -> Handler:
        """What answers an edge's questions."""

        async def answer(question: object, lent: Lent) -> object:
            match question:
                case Run():
                    return await self._engine.run(question, lent)
                case Await():
                    self._engine.join(question)
                case Spread():
                    await self._spread_whole(question)
                case CheckWorkers():
                    await self._check()
                case Join():
                    edge.joined = True
                    return [Notice(*about, number) for number, about in self._in_order()]
                case Listening():
                    edge.listening.set()
                    self._changed.set()
            return None

        return answer

    def _in_order(self) -> list[tuple[int, tuple[Kind, Key]]]:
        return sorted((number, about) for about, number in self._remembered.items())

    async def _spread_whole(self, asked: Spread) -> None:
        """What is begun is finished, even if who asked for it leaves."""
        task = asyncio.create_task(self.spread(asked.kind, asked.key))
        self._spreading.add(task)
        task.add_done_callback(self._spreading.discard)
        await asyncio.shield(task)


async def _happens(event: asyncio.Event, *, within: float) -> bool:
    with contextlib.suppress(TimeoutError):
        return await asyncio.wait_for(event.wait(), within)
    return False


async def _say(edge: EdgeProcess, what: Notice | Pulse | Drain) -> None:
    """Say it, and wait until it is acted on, or there is nobody to act."""
    with contextlib.suppress(Gone):
        await edge.channel.ask(what)


async def _measure(edge: EdgeProcess) -> bytes:
    if not edge.listening.is_set():
        return b""
    with contextlib.suppress(Gone, TimeoutError):
        return bytes(await asyncio.wait_for(edge.channel.ask(Measure()), _MEASURE_SECONDS))
    return b""
