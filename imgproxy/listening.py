"""What listens on a port: aiohttp's own server, but for what that would say by itself.

To what is no HTTP, or meets no route, it answers in plain text, names its version, repeats what was sent, and
logs a stack. Here these are problems like all others, and a line in the log.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Coroutine, Sequence
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from imgproxy.edge import problems
from imgproxy.fleet import ports
from imgproxy.fleet.ports import CannotListen
from imgproxy.telemetry import request_id

DRAIN_SECONDS = 15.0
"""For what is under way when a server ends."""

_KEEPALIVE_SECONDS = 75.0  # longer than a proxy's 60, so that it is the proxy who closes idle connections
_LONGEST_LINE = 8190

_DETAILS = {
    400: "HTTP/1.1 is spoken here (RFC 9112)",
    417: "100-continue is all that can be expected",
    404: "there is nothing here",
}
_TOO_LONG = f"a line of a request's head has at most {_LONGEST_LINE} bytes"
_DEFECT = "the request could not be answered"

_log = logging.getLogger(__name__)


class _Protocol(web.RequestHandler):
    """One connection."""

    __slots__ = ()

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
        return super().finish_response(request, resp, start_time)


class _Server(web.Server):
    """Makes a protocol for each connection."""

    def __call__(self) -> web.RequestHandler:
        return _Protocol(
            self,
            loop=self._loop,
            access_log=None,  # type: ignore[arg-type]  # that turns it off
            keepalive_timeout=_KEEPALIVE_SECONDS,
            lingering_time=2,
            max_field_size=_LONGEST_LINE,
            max_line_size=_LONGEST_LINE,
        )


class _Runner(web.AppRunner):
    """Runs an application behind our server."""

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(made.request_handler, request_factory=made.request_factory, handler_cancellation=True)


def runner(application: web.Application) -> web.AppRunner:
    """What serves an application, once it listens."""
    return _Runner(application, handle_signals=False, shutdown_timeout=DRAIN_SECONDS)


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


def _problem(request: web.BaseRequest, status: int, detail: str | None) -> web.Response:
    known = detail or _DETAILS.get(status, _DEFECT)
    return problems.problem(status, known, request_id=request_id(request.headers))


def _cannot_listen(host: str, port: int, error: OSError) -> CannotListen:
    return CannotListen(f"{host}:{port} cannot be listened on: {os.strerror(error.errno or 0)}")
