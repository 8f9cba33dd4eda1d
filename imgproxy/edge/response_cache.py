"""Answers that are written already: what a target and an Accept header lead to is remembered, head and all.

A hit is then a lookup and not a parse: no URL is read, nothing negotiated, no header put together. What is
remembered says nothing about whether it may be served: that is asked each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import cast

from aiohttp import web
from cachetools import LRUCache

from imgproxy.edge.render import Prepared

LONGEST = 2_048
"""Characters of a target and an Accept header that are kept; a client may send 16,000."""

_JOINED_BYTES = 64 * 1024  # to copy as much costs what a second write does
_PER_ANSWER = frozenset({"content-length", "date", "x-request-id"})


@dataclass(frozen=True, slots=True)
class CachedResponse:
    """What one target and Accept lead to, while its grants hold."""

    prepared: Prepared
    etag: str
    ok: bytes
    """Status line and headers of 200, to which those of one answer are still to be added."""
    unchanged: bytes
    """The same of 304."""


class ResponseCache:
    """The cached answers of one process, the least recently used go first."""

    def __init__(self, entries: int) -> None:
        self._entries: LRUCache[tuple[str, str | None], CachedResponse] = LRUCache(entries)

    def get(self, target: str, accept: str | None) -> CachedResponse | None:
        """What is remembered of a raw target and Accept header."""
        return self._entries.get((target, accept))

    def put(
        self,
        target: str,
        accept: str | None,
        prepared: Prepared,
        *,
        ok: Mapping[str, str],
        unchanged: Mapping[str, str],
    ) -> None:
        """Keep the headers of a hit, if they are the same for all clients at any time."""
        short = len(target) + len(accept or "") <= LONGEST
        if short and prepared.request.transform.options.expire is None:
            self._entries[target, accept] = CachedResponse(
                prepared, ok["ETag"], _head("200 OK", ok), _head("304 Not Modified", unchanged)
            )


def _head(status: str, headers: Mapping[str, str]) -> bytes:
    lines = (f"{name}: {value}\r\n" for name, value in headers.items() if name.lower() not in _PER_ANSWER)
    return f"HTTP/1.1 {status}\r\n{''.join(lines)}".encode("latin-1")


def overridden(head: bytes, headers: Mapping[str, str]) -> bytes:
    """A head that says something else of these names."""
    kept = (line for line in head.splitlines() if line.partition(b":")[0].decode("latin-1") not in headers)
    lines = (f"{name}: {value}".encode("latin-1") for name, value in headers.items())
    return b"\r\n".join([*kept, *lines, b""])


class DateLine:
    """The Date header of now, formatted once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._line = b""

    def line(self, now: float) -> bytes:
        """The header line at `now`, seconds since 1970."""
        second = int(now)
        if second != self._second:
            self._second = second
            self._line = f"Date: {formatdate(second, usegmt=True)}\r\n".encode()
        return self._line


class PrebuiltResponse:
    """An answer as bytes, head and body; what aiohttp asks of a response and no more."""

    __slots__ = ("_head", "body", "keep_alive", "status")

    def __init__(self, status: int, head: bytes, body: bytes, *, send_body: bool) -> None:
        self.status = status
        self.body = body if send_body else b""
        self.keep_alive = True
        self._head = head

    async def prepare(self, request: web.BaseRequest) -> None:
        """Write it all; waits if the client does not keep up.

        A large body is written by itself, so that all clients that are slow to take it hold one buffer.
        """
        if len(self.body) <= _JOINED_BYTES:
            await request.writer.write(self._head + self.body)
        else:
            await request.writer.write(self._head)
            await request.writer.write(self.body)

    async def write_eof(self) -> None:
        """Nothing is left to write."""

    def force_close(self) -> None:
        """Have the connection closed once it is written."""
        self.keep_alive = False


def as_response(written: PrebuiltResponse) -> web.StreamResponse:
    """Tell the type checker what aiohttp's server finds out by itself: it asks for these three only."""
    return cast(web.StreamResponse, written)
