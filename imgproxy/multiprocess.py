"""Supervisor and edge processes of `serve --edges`: start, restart, broadcast with acknowledgement.

The supervisor keeps the listening sockets and passes them to each edge process by descriptor. Connections
that wait at a process that has ended are accepted by its successor. An edge process ends with its supervisor.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Literal, Self

import imgproxy
from imgproxy.errors import EngineFailed, Overloaded
from imgproxy.image.source import Key

_BOOT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from imgproxy.cli import main; sys.exit(main())"
COMMAND = (sys.executable, "-c", _BOOT, str(Path(imgproxy.__path__[0]).parent))
"""`imgproxy` of the code that the supervisor runs, independent of the working directory."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_PROVEN_SECONDS = 10.0
"""A process that was ready and ran for so long is replaced without a pause."""
_START_TRIES = 3
"""Processes in a row that ended before they were ready, until the start fails."""
_ACKNOWLEDGE_SECONDS = 20.0
_POLL_SECONDS = _PING_SECONDS = 5.0
_SILENT_SECONDS = 60.0
"""Longest time without an answer; a start on a busy machine takes some of it."""

Kind = Literal["purge", "change"]  # a purge of a key, or a change of the file at a key
Listener = Callable[[Key, int], Awaitable[None]]
"""Applies one kind of message, given its key and number; called twice, and perhaps out of order."""

_log = logging.getLogger(__name__)


class Gone(Exception):
    """The process at the other end of a link has closed it."""


class Link:
    """Calls over a socketpair as lines of JSON; each end calls, and answers by its `handlers`.

    A call is `[number, name, argument, …]`, its answer `[number, null, result]`. A handler that fails closes
    the link, so neither end continues with a message half applied.
    """

    def __init__(self, end: socket.socket, *, gone: Callable[[], None] = lambda: None) -> None:
        """Take over `end`; `gone` is called when the link closes."""
        self.handlers: dict[str, Callable[..., Awaitable[object]]] = {"ping": partial(asyncio.sleep, 0)}
        self.closed = False
        self._end = end
        self._gone = gone
        self._numbers = count(1)
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._answers: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        reader, self._writer = await asyncio.open_unix_connection(sock=self._end)
        self._reading = asyncio.create_task(self._read(reader))
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*self._answers)
        self._writer.close()
        await self._reading
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    async def call(self, name: str, *arguments: object) -> Any:
        """Return the answer of the other process; raise `Gone` if there will be none."""
        if self.closed:
            raise Gone
        number = next(self._numbers)
        answer = self._calls[number] = asyncio.get_running_loop().create_future()
        try:
            self._send(number, name, *arguments)
            return await answer
        finally:
            del self._calls[number]

    def _send(self, *message: object) -> None:
        self._writer.write(json.dumps(message).encode() + b"\n")

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                number, name, *values = json.loads(line)
                if name is not None:
                    task = asyncio.create_task(self._answer(number, name, values))
                    self._answers.add(task)
                    task.add_done_callback(self._answers.discard)
                elif (call := self._calls.get(number)) is not None and not call.done():
                    call.set_result(values[0])
        self.closed = True
        self._writer.close()
        for call in self._calls.values():
            if not call.done():
                call.set_exception(Gone())
        self._gone()

    async def _answer(self, number: int, name: str, arguments: Sequence[Any]) -> None:
        try:
            result = await self.handlers[name](*arguments)
        except Exception:
            _log.exception("multiprocess: %s failed; the link closes", name)
            self._writer.close()
        else:
            if not self.closed:
                self._send(number, None, result)


class Broadcast:
    """Purges and file changes, applied in this process and in all others of the server."""

    def __init__(self, link: Link | None = None) -> None:
        """Send through the supervisor at the other end of `link`, or stay in this process without one."""
        self._link = link
        self._listeners: dict[str, Listener] = {}
        self._numbers = count(1)
        if link is not None:
            link.handlers["apply"] = self._apply

    def subscribe(self, kind: Kind, listener: Listener) -> None:
        """Apply every message of a kind by `listener`."""
        self._listeners[kind] = listener

    async def send(self, kind: Kind, key: Key) -> None:
        """Apply a message in every process before this returns; raise `Overloaded` without a supervisor."""
        if self._link is None:
            await self._apply(kind, key, next(self._numbers))
            return
        try:
            await self._link.call("send", kind, key)
        except Gone:
            raise Overloaded("the server is shutting down") from None

    async def _apply(self, kind: Kind, key: Key, number: int) -> None:
        await self._listeners[kind](key, number)


@dataclass(slots=True)
class _Edge:
    """One edge process."""

    process: asyncio.subprocess.Process
    link: Link
    ready: bool = False
    """Whether it may hold cached bytes, so that it receives broadcasts."""

    def signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    async def acknowledges(self, seconds: float, name: str, *arguments: object) -> bool:
        """Return whether the process answers a call in time; kill it and wait for its end if it does not."""
        try:
            await asyncio.wait_for(self.link.call(name, *arguments), seconds)
        except (TimeoutError, Gone) as error:
            if isinstance(error, TimeoutError):
                _log.error("process %d does not answer %s: it is killed", self.process.pid, name)
            self.signal(signal.SIGKILL)
            await self.process.wait()
            return False
        return True


class Supervisor:
    """Keeps one edge process for each entry of `listeners`: `start`, then `drain`, and always `close`."""

    def __init__(
        self,
        listeners: Sequence[Sequence[socket.socket]],
        *,
        command: Callable[[int, int], Sequence[str]],
        ended: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Run what `command` returns for an index and a link's descriptor.

        `ended` is called with the index of each process that ended and is to be replaced.
        """
        self._listeners = listeners
        self._command = command
        self._ended = ended
        self._edges: dict[int, _Edge] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._closing = asyncio.Event()
        self._changed = asyncio.Event()
        self._failed_starts = 0
        self._numbers = count(1)

    async def start(self) -> None:
        """Start all processes and wait until they are ready; raise `EngineFailed` if they cannot start."""
        self._keepers = [asyncio.create_task(self._keep(index)) for index in range(len(self._listeners))]
        while len(self._ready) < len(self._listeners):
            if self._failed_starts >= _START_TRIES:
                raise EngineFailed("no edge process could be started; see the log for the reason")
            self._changed.clear()
            await self._changed.wait()

    async def broadcast(self, kind: Kind, key: Key) -> None:
        """Have every process apply a message before this returns; a process that does not is killed.

        It is applied twice. A process that applies it early may still load from disk a result that another
        stored before that one applied it. After the first round none is stored, and the second drops it.
        """
        number = next(self._numbers)
        for _ in range(2):
            call = (_ACKNOWLEDGE_SECONDS, "apply", kind, key, number)
            await asyncio.gather(*(edge.acknowledges(*call) for edge in self._ready))

    async def poll(self, name: str) -> list[Any]:
        """Return the answers of ready processes to a call without arguments; silent ones are left out."""
        calls = (asyncio.wait_for(edge.link.call(name), _POLL_SECONDS) for edge in self._ready)
        answers = await asyncio.gather(*calls, return_exceptions=True)
        return [answer for answer in answers if not isinstance(answer, BaseException)]

    async def failing(self) -> list[str]:
        """Return the parts that any process reports as failing, or `edges` if no process answers."""
        answers = await self.poll("check")
        return list(dict.fromkeys(part for answer in answers for part in answer)) if answers else ["edges"]

    async def drain(self, seconds: float) -> None:
        """Have every process finish its requests and end, within a limit."""
        self.signal(signal.SIGTERM)
        await asyncio.wait(self._keepers, timeout=seconds)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to every process, and replace none from now on."""
        self._closing.set()
        for edge in self._edges.values():
            edge.signal(number)

    async def close(self) -> None:
        """Leave no process or descriptor behind."""
        self.signal(signal.SIGKILL)
        await asyncio.gather(*self._keepers)

    @property
    def _ready(self) -> list[_Edge]:
        return [edge for edge in self._edges.values() if edge.ready]

    async def _keep(self, index: int) -> None:
        """Replace the process at an index whenever it ends, after a pause that grows if it ends early."""
        pause = 0.0
        while not self._closing.is_set():
            started = time.monotonic()
            was_ready = await self._run(index)
            self._failed_starts = 0 if was_ready else self._failed_starts + 1
            self._changed.set()
            if not self._closing.is_set():
                self._ended(index)
                proven = was_ready and time.monotonic() - started > _PROVEN_SECONDS
                pause = 0 if proven else min(2 * pause + _FIRST_PAUSE, _LONGEST_PAUSE)
                await self._pause(pause)

    async def _run(self, index: int) -> bool:
        """Run one process to its end; return whether it was ready."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *self._command(index, theirs.fileno()),
                    stdin=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(), *(each.fileno() for each in self._listeners[index])),
                    start_new_session=True,  # Ctrl-C in a terminal is for the supervisor
                )
        except OSError as error:
            ours.close()
            _log.error("edge %d cannot be started: %s", index, error)
            return False
        async with Link(ours) as link:
            edge = self._edges[index] = _Edge(process, link)
            link.handlers |= {"ready": lambda: self._is_ready(index, edge), "send": self.broadcast}
            if self._closing.is_set():
                edge.signal(signal.SIGKILL)
            pinging = asyncio.create_task(_ping(edge))
            code = await process.wait()
            del self._edges[index]
            pinging.cancel()
            await asyncio.gather(pinging, return_exceptions=True)
        if not self._closing.is_set():
            reason = signal.strsignal(-code) if code < 0 else f"exit status {code}"
            _log.error("edge %d, process %d, has ended (%s); another is started", index, process.pid, reason)
        return edge.ready

    async def _is_ready(self, index: int, edge: _Edge) -> None:
        edge.ready = True
        self._changed.set()
        _log.info("edge %d, process %d, is ready", index, edge.process.pid)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)


async def _ping(edge: _Edge) -> None:
    """Kill a process that stops answering, or that closes its link and continues."""
    while await edge.acknowledges(_SILENT_SECONDS, "ping"):  # noqa: ASYNC110  nothing sets an event
        await asyncio.sleep(_PING_SECONDS)
