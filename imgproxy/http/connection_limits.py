"""Bounds on the connections of a port: slow readers, slow request heads, idle connections, unsent bytes.

The port tells when a connection opens, closes, waits for its client to read, and receives part of a head.
A timer runs only while a connection waits, so a fast client costs nothing here.
"""

from __future__ import annotations

import asyncio
import fcntl
import heapq
import logging
import resource
import struct
import termios
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Protocol

_log = logging.getLogger(__name__)

_GRACE_SECONDS = 10.0
"""Seconds of waiting before the lowest rate applies: a first packet may be lost."""

_FRESH_SECONDS = 1.0  # a reader is not called slow before
_REPORT_SECONDS = 10.0
_SEARCH_SECONDS = 0.1
_MOST = 65_536
_FEWEST = 16


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of one port's connections."""

    write_timeout: float = 30.0
    """Longest wait for a client that takes no byte, in seconds; 0 is any."""
    min_rate: int = 1024
    """Lowest rate of a client in bytes a second, averaged over the waits of a response; 0 is any."""
    client_bytes: int = 256 * 1024**2
    """Maximum of bytes held for slow clients; a body that several wait for counts once."""
    head_timeout: float = 15.0
    """Longest time for the head of a request once it has begun, in seconds."""
    connections: int = 0
    """Maximum of open connections; 0 derives it from the limit of open files."""
    every: float = 1.0
    """Seconds between two looks at the connections that wait."""


class Connection(Protocol):
    """One connection, as the bounds need it."""

    @property
    def idle_since(self) -> float | None:
        """Loop time of the last request's end while a request is awaited, else None."""

    def unsent(self) -> int:
        """Return the bytes that the client has not taken yet."""

    def late(self) -> None:
        """Answer 408 and close."""

    def abort(self) -> None:
        """Reset; what is unsent is lost."""

    def force_close(self) -> None:
        """Close."""


@dataclass(slots=True)
class _Sending:
    """One response while its client is waited for."""

    response: object
    buffer: int
    """Identity of the buffer that is held, the same for all who wait for it."""
    size: int
    since: float
    progress: float
    unsent: int
    waited: float = 0.0
    """Seconds of the earlier waits of this response."""
    taken: int = 0

    def look(self, now: float, unsent: int) -> None:
        """Note what the client has taken since the last look."""
        if unsent < self.unsent:
            self.progress = now
            self.taken += self.unsent - unsent
        self.unsent = unsent

    def seconds(self, now: float) -> float:
        """Return the seconds waited for this response."""
        return self.waited + now - self.since

    def rate(self, now: float) -> float:
        """Return bytes a second; infinite for a response that has just begun."""
        seconds = self.seconds(now)
        return self.taken / seconds if seconds > _FRESH_SECONDS else float("inf")


class Connections:
    """The open connections of one port."""

    def __init__(self, bounds: Bounds, *, loop: asyncio.AbstractEventLoop) -> None:
        self._bounds = bounds
        self._loop = loop
        self._most = bounds.connections or most_connections()
        self._open: set[Connection] = set()
        self._sending: dict[Connection, _Sending] = {}
        self._before: dict[Connection, _Sending] = {}
        self._holders: Counter[int] = Counter()
        self._held = 0
        self._heads: dict[Connection, float] = {}
        self._oldest: list[tuple[float, int, Connection]] = []
        self._search_after = 0.0
        self._numbers = count()
        self._closed: Counter[str] = Counter()
        self._reported = float("-inf")
        self._timer: asyncio.TimerHandle | None = None

    @property
    def held(self) -> int:
        """Bytes held for clients that are waited for."""
        return self._held

    def opened(self, connection: Connection) -> None:
        """Count a connection; over the limit, close the oldest idle one, or else the slowest reader."""
        self._open.add(connection)
        if len(self._open) > self._most:
            self._make_room(connection)

    def closed(self, connection: Connection) -> None:
        """Forget a connection."""
        self._open.discard(connection)
        self._heads.pop(connection, None)
        self._before.pop(connection, None)
        self._release(connection)

    def head_begun(self, connection: Connection) -> None:
        """Start the time for a request's head, of which a part is there."""
        self._heads.setdefault(connection, self._loop.time())
        self._wake()

    def paused(self, connection: Connection, response: object, body: bytes | None) -> None:
        """Start to wait for a client; `body` is the buffer that is held for it, perhaps with others."""
        now = self._loop.time()
        unsent = connection.unsent()
        before = self._before.pop(connection, None)
        size = unsent if body is None else len(body)
        sending = _Sending(response, id(connection if body is None else body), size, now, now, unsent)
        if before is not None and before.response is response:
            sending.waited, sending.taken = before.waited, before.taken
        self._release(connection)
        self._sending[connection] = sending
        self._holders[sending.buffer] += 1
        if self._holders[sending.buffer] == 1:
            self._held += sending.size
        self._wake()
        self._shed()

    def resumed(self, connection: Connection) -> None:
        """End a wait: the client has taken nearly everything."""
        sending = self._release(connection)
        if sending is not None:
            now = self._loop.time()
            sending.look(now, min(sending.unsent, connection.unsent()))
            sending.waited = sending.seconds(now)
            self._before[connection] = sending

    def close(self) -> None:
        """Stop the timer and report what was closed."""
        if self._timer is not None:
            self._timer.cancel()
        self._report(float("inf"))

    def _release(self, connection: Connection) -> _Sending | None:
        sending = self._sending.pop(connection, None)
        if sending is not None:
            self._holders[sending.buffer] -= 1
            if not self._holders[sending.buffer]:
                del self._holders[sending.buffer]
                self._held -= sending.size
        return sending

    def _wake(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(self._bounds.every, self._tick)

    def _tick(self) -> None:
        now = self._loop.time()
        self._timer = None
        self._close_late_heads(now)
        self._close_slow_readers(now)
        self._report(now)
        if self._sending or self._heads or self._closed:
            self._wake()

    def _close_late_heads(self, now: float) -> None:
        for connection, since in list(self._heads.items()):
            idle = connection.idle_since
            if idle is None or idle > since:  # the head was whole, and perhaps responded to since
                del self._heads[connection]
            elif now - since >= self._bounds.head_timeout:
                del self._heads[connection]
                self._closed["slow request heads"] += 1
                connection.late()

    def _close_slow_readers(self, now: float) -> None:
        bounds = self._bounds
        for connection, sending in list(self._sending.items()):
            sending.look(now, connection.unsent())
            seconds = sending.seconds(now)
            if bounds.write_timeout and now - sending.progress >= bounds.write_timeout:
                self._drop(connection, "readers that took nothing")
            elif seconds >= _GRACE_SECONDS and sending.taken < bounds.min_rate * seconds:
                self._drop(connection, "slow readers")

    def _shed(self) -> None:
        """Drop the slowest readers while more bytes are held than may be."""
        while self._held > self._bounds.client_bytes and len(self._holders) > 1:
            for connection in self._slowest():
                self._drop(connection, "slowest readers over the limit of bytes")

    def _slowest(self) -> list[Connection]:
        """Return the readers of the buffer whose fastest reader is the slowest: only all together free it."""
        now = self._loop.time()
        rates: dict[int, float] = {}
        readers: dict[int, list[Connection]] = {}
        for connection, sending in self._sending.items():
            rates[sending.buffer] = max(rates.get(sending.buffer, 0.0), sending.rate(now))
            readers.setdefault(sending.buffer, []).append(connection)
        return readers[min(rates, key=lambda buffer: rates[buffer])] if rates else []

    def _drop(self, connection: Connection, why: str) -> None:
        self._release(connection)
        self._closed[why] += 1
        connection.abort()

    def _make_room(self, newcomer: Connection) -> None:
        victim = self._oldest_idle()
        if victim is not None:
            self._open.discard(victim)
            self._closed[f"idle connections over the limit of {self._most}"] += 1
            victim.force_close()
        elif slowest := self._slowest():
            self._open.discard(slowest[0])
            self._drop(slowest[0], f"slowest readers over the limit of {self._most} connections")
        else:
            self._open.discard(newcomer)
            self._closed[f"new connections over the limit of {self._most}"] += 1
            newcomer.force_close()
        self._wake()
        self._report(self._loop.time())

    def _oldest_idle(self) -> Connection | None:
        """Return the connection that is idle for longest, from a heap whose times are checked when popped."""
        for rebuilt in (False, True):
            if rebuilt:
                if self._loop.time() < self._search_after:
                    break  # a search of all has just found nobody
                self._oldest = [
                    (since, next(self._numbers), each)
                    for each in self._open
                    if (since := each.idle_since) is not None
                ]
                heapq.heapify(self._oldest)
            while self._oldest:
                noted, _, connection = heapq.heappop(self._oldest)
                since = connection.idle_since if connection in self._open else None
                if since is not None and since > noted:
                    heapq.heappush(self._oldest, (since, next(self._numbers), connection))
                elif since is not None:
                    return connection
        self._search_after = self._loop.time() + _SEARCH_SECONDS
        return None

    def _report(self, now: float) -> None:
        """Log what was closed, once in a while."""
        if self._closed and now - self._reported >= _REPORT_SECONDS:
            self._reported = now
            _log.warning("connections closed: %s", _told(self._closed.items()))
            self._closed.clear()


def most_connections() -> int:
    """Return half of the descriptors that are free: the other half is for workers, files, and databases."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return _MOST
    free = limit - sum(1 for _ in Path("/proc/self/fd").iterdir())
    return min(max(free // 2, _FEWEST), _MOST)


def unsent_in_kernel(descriptor: int) -> int:
    """Return the bytes in a socket's send queue, unacknowledged ones too (tcp(7), SIOCOUTQ)."""
    try:
        return int(struct.unpack("i", fcntl.ioctl(descriptor, termios.TIOCOUTQ, b"\0" * 4))[0])
    except (OSError, ValueError):
        return 0


def _told(closed: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{number} {why}" for why, number in closed)
