"""The server of a port: aiohttp's own, with our problem bodies and with bounds on every connection.

To what is no HTTP, or meets no route, aiohttp answers in plain text, names its version, repeats what was
sent, and logs a stack. Here these are problems like all others, and a line in the log. Request bodies are
never inflated, and a body that no route reads is not read beyond 64 KiB.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any, cast

from aiohttp import StreamReader, web
from aiohttp.http_exceptions import LineTooLong

from imgproxy import ports
from imgproxy.errors import BodyTooLarge
from imgproxy.http import problems
from imgproxy.http.connection_limits import Bounds, Connections, unsent_in_kernel
from imgproxy.http.headers import IMAGE_HEADERS, SERVER
from imgproxy.http.problems import NO_EXPECTATION, NO_MEDIA, TABLE, ErrorCode
from imgproxy.ports import CannotListen
from imgproxy.telemetry import request_id

DRAIN_SECONDS = 15.0
"""For what is under way when a server ends."""

_KEEPALIVE_SECONDS = 75.0  # longer than a proxy's 60, so that it is the proxy who closes idle connections
_LONGEST_LINE = 8190
_BUFFERED_BYTES = 64 * 1024  # of a body that nobody has read yet: the client is stopped at twice as many

SHARED_BYTES = 64 * 1024
"""Size of a body from which on it is written by itself and not joined to its head."""

_BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS", "PURGE", "TRACE", "CONNECT"})
_UNREAD_BYTES = 64 * 1024
"""Maximum body of these methods, which no route reads."""

_REFUSED_BYTES = 4 * 1024**2
"""Maximum that is discarded of a body that was refused, so that its client reads the response."""

_LINGER_SECONDS = 1.0
_RESET = struct.pack("ii", 1, 0)  # socket(7), SO_LINGER

_DETAILS = {
    400: "HTTP/1.1 is spoken here (RFC 9112)",
    417: "100-continue is all that can be expected",
    404: "there is nothing here",
}
_TOO_LONG = f"a line of a request's head has at most {_LONGEST_LINE} bytes"
_DEFECT = "the request could not be answered"

_API = ("/v1", "/s3/", "/-/")
_CODED = "a body without Content-Encoding is expected"
_BODY = f"a body of at most {_UNREAD_BYTES} bytes is expected with this method"
_LATE = b"HTTP/1.1 408 Request Timeout\r\nServer: imgproxy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

_log = logging.getLogger(__name__)


# every request calls these: `super()` would take 0.3 µs of its 20
_data_received = web.RequestHandler.data_received
_handle_request = web.RequestHandler._handle_request
_finish_response = web.RequestHandler.finish_response


class _Protocol(web.RequestHandler):
    """One connection."""

    __slots__ = ("_answered", "_connections", "_held", "_socket")

    def __init__(self, server: _Server) -> None:
        super().__init__(
            server,
            loop=server.loop,
            access_log=None,  # type: ignore[arg-type]  # that turns it off
            keepalive_timeout=_KEEPALIVE_SECONDS,
            lingering_time=0,  # `_finish_unread` discards what is left of a body, with bounds
            max_field_size=_LONGEST_LINE,
            max_line_size=_LONGEST_LINE,
            read_bufsize=_BUFFERED_BYTES,
            auto_decompress=False,
        )
        self._connections = server.watched
        self._held: bytes | None = None
        self._answered: float | None = None
        self._socket: asyncio.Transport | None = None

    @property
    def idle_since(self) -> float | None:
        """Loop time of the last response while a request, or the rest of one, is awaited, else None."""
        if self._answered is not None:
            return self._answered
        waits = self._waiter is not None and not self._waiter.done()
        return (
            self._next_keepalive_close_time - _KEEPALIVE_SECONDS if waits or not self._request_count else None
        )

    def unsent(self) -> int:
        """Return the bytes that the client has not taken yet, those in the kernel included."""
        transport = self._socket
        if transport is None:
            return 0
        own = transport.get_extra_info("socket")
        return transport.get_write_buffer_size() + (unsent_in_kernel(own.fileno()) if own else 0)

    def late(self) -> None:
        """Answer 408 and close."""
        if self._socket is not None and not self._socket.is_closing():
            self._socket.write(_LATE)
        self.force_close()

    def abort(self) -> None:
        """Reset the connection; what is unsent is lost, also what the kernel holds of it."""
        if self._socket is not None:
            own = self._socket.get_extra_info("socket")
            with suppress(OSError):
                own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._socket.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless there are too many connections."""
        self._socket = cast(asyncio.Transport, transport)
        super().connection_made(transport)
        self._connections.opened(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        self._connections.closed(self)
        self._socket = self._held = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse; note when a head has begun and not ended."""
        _data_received(self, data)
        waiter = self._waiter
        if waiter is not None and data and not waiter.done():
            self._connections.head_begun(self)

    def pause_writing(self) -> None:
        """Wait for a slow client."""
        super().pause_writing()
        self._connections.paused(self, self._current_request, self._held)

    def resume_writing(self) -> None:
        """Go on."""
        self._connections.resumed(self)
        super().resume_writing()

    async def start(self) -> None:
        """Answer requests until the connection is to close; its client may be slow to take the last."""
        try:
            await super().start()
        finally:
            transport = self._socket
            if transport is not None and not self.writing_paused and transport.get_write_buffer_size():
                self._connections.paused(self, None, None)

    def _handle_request(
        self,
        request: web.BaseRequest,
        start_time: float | None,
        request_handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
    ) -> Coroutine[Any, Any, tuple[web.StreamResponse, bool]]:
        """Answer a request, or refuse it by its head before any handler sees it."""
        headers = request.headers
        if request.body_exists or "Content-Encoding" in headers or "Expect" in headers:
            request_handler = _refuse if _refused(request) is not None else request_handler
        return _handle_request(self, request, start_time, request_handler)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002  has bytes of the request in it
    ) -> web.StreamResponse:
        """Answer what cannot be read, or a defect, and close the connection."""
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.error("a defect", exc_info=exc)
        else:
            _log.info("no HTTP from %s: %s", request.remote, type(exc).__name__)
        if request.writer.output_size:
            raise ConnectionError("the answer has begun: all that is left is to break it off")
        response = _problem(request, status, _TOO_LONG if isinstance(exc, LineTooLong) else None)
        response.force_close()
        return response

    def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> Coroutine[Any, Any, tuple[web.StreamResponse, bool]]:
        """Answer; what aiohttp has refused by itself, in our words."""
        if isinstance(resp, web.HTTPException):
            resp = _problem(request, resp.status, None)
        if request._message.upgrade:  # aiohttp loses what follows in the same segment (3.14.5)
            resp.force_close()
        if request.body_exists and not request.content.is_eof():
            return self._finish_unread(request, resp, start_time)
        body = getattr(resp, "body", None)
        if type(body) is bytes and len(body) > SHARED_BYTES:
            return self._finish_large(request, resp, start_time)
        return _finish_response(self, request, resp, start_time)

    async def _finish_large(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Answer with the body's own buffer: joined to the head, each slow client would hold a copy."""
        body = getattr(resp, "body", None)
        self._held = body if isinstance(body, bytes) else None
        try:
            if isinstance(resp, web.Response):
                with suppress(ConnectionError):  # met again below
                    await resp.prepare(request)
                    request.writer.send_headers()
            return await _finish_response(self, request, resp, start_time)
        finally:
            self._held = None

    async def _finish_unread(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Answer, then discard a little of the body that no handler has read; close if there is more."""
        most = _UNREAD_BYTES if request.method in _BODILESS else _REFUSED_BYTES
        if (request.content_length or 0) > most:
            resp.force_close()
        finished = await self._finish_large(request, resp, start_time)
        self._answered = asyncio.get_running_loop().time()
        if self._socket is not None and not await _discard(request.content, most):
            with suppress(OSError, RuntimeError):
                self._socket.write_eof()
                self._socket.pause_reading()
            await asyncio.sleep(_LINGER_SECONDS)  # to close at once would reset what the client has not read
        self._answered = None
        return finished


class _Server(web.Server):
    """Makes a protocol for each connection."""

    def __init__(self, made: web.Server, bounds: Bounds) -> None:
        super().__init__(
            made.request_handler, request_factory=made.request_factory, handler_cancellation=True
        )
        self.loop = self._loop
        self.watched = Connections(bounds, loop=self._loop)

    def __call__(self) -> web.RequestHandler:
        return _Protocol(self)

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  aiohttp's own
        """Close every connection."""
        await super().shutdown(timeout)
        self.watched.close()


class _Runner(web.AppRunner):
    """Runs an application behind our server."""

    def __init__(self, application: web.Application, bounds: Bounds) -> None:
        super().__init__(application, handle_signals=False, shutdown_timeout=DRAIN_SECONDS)
        self._bounds = bounds

    async def _make_server(self) -> web.Server:
        return _Server(await super()._make_server(), self._bounds)


def runner(application: web.Application, bounds: Bounds | None = None) -> web.AppRunner:
    """What serves an application, once it listens."""
    return _Runner(application, bounds or Bounds())


async def listen(running: web.AppRunner, host: str, port: int) -> None:
    """Serve what connects to a port; raise `CannotListen`."""
    await running.setup()
    try:
        await web.TCPSite(running, host, port, backlog=ports.BACKLOG).start()
    except OSError as error:
        raise _cannot_listen(host, port, error) from error


async def accept(running: web.AppRunner, listeners: Sequence[socket.socket]) -> None:
    """Serve what connects to sockets that somebody else has bound."""
    await running.setup()
    for each in listeners:
        each.setblocking(False)
        await web.SockSite(running, each, backlog=ports.BACKLOG).start()


def bind(host: str, port: int, *, edges: int) -> list[list[socket.socket]]:
    """The sockets of several edges; raise `CannotListen`."""
    try:
        return ports.bind(host, port, shares=edges)
    except OSError as error:
        raise _cannot_listen(host, port, error) from error


def _refused(request: web.BaseRequest) -> tuple[ErrorCode, str] | None:
    """Return what is wrong with a request by its head alone."""
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        return NO_MEDIA, _CODED
    if request.headers.get("Expect", "100-continue").lower() != "100-continue":
        return NO_EXPECTATION, _DETAILS[417]
    if request.method in _BODILESS and (request.content_length or 0) > _UNREAD_BYTES:
        return TABLE[BodyTooLarge], _BODY
    return None


async def _refuse(request: web.BaseRequest) -> web.StreamResponse:
    """Refuse a request, in the words of the part of the server that is asked."""
    code, detail = _refused(request) or (NO_MEDIA, _CODED)
    id_ = request_id(request.headers)
    _log.info("%s refused: %s", id_, detail)
    if not request.raw_path.startswith(_API):
        return _image_problem(code, detail, id_)
    accept = request.headers.get("Accept", "")
    response = problems.problem(code, detail, request_id=id_, accept=accept)
    response.headers.update(SERVER)
    return response


async def _discard(content: StreamReader, most: int) -> bool:
    """Read and forget at most so many bytes; return whether that was all."""
    with suppress(TimeoutError, web.RequestPayloadError):
        async with asyncio.timeout(_LINGER_SECONDS):
            while not content.is_eof() and most >= 0:
                most -= len(await content.readany())
    return content.is_eof()


def _problem(request: web.BaseRequest, status: int, detail: str | None) -> web.Response:
    known = detail or _DETAILS.get(status, _DEFECT)
    return _image_problem(problems.code_of_status(status), known, request_id(request.headers))


def _image_problem(code: ErrorCode, detail: str, id_: str) -> web.Response:
    response = problems.cacheable(problems.problem(code, detail, request_id=id_))
    response.headers.update(IMAGE_HEADERS)
    return response


def _cannot_listen(host: str, port: int, error: OSError) -> CannotListen:
    return CannotListen(f"{host}:{port} cannot be listened on: {os.strerror(error.errno or 0)}")
