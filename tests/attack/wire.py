"""A raw connection to a server: any bytes, in any pieces, and what comes back."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

_TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True)
class Response:
    """A response as it came over the wire; header names in lower case, the last of a name wins."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """One connection."""

    def __init__(self, port: int, *, receive_buffer: int = 0, address: str = "") -> None:
        """Connect from an address of loopback; `receive_buffer` limits what the kernel takes meanwhile."""
        self.socket = socket.socket()
        self.socket.settimeout(_TIMEOUT_SECONDS)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if address:
            self.socket.bind((address, 0))
        self.socket.connect(("127.0.0.1", port))
        self._file = self.socket.makefile("rb")

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def send(self, data: bytes) -> Wire:
        """Send bytes; a server that has closed already is no error, for it may have responded before."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)
        return self

    def trickle(self, pieces: Iterable[bytes], *, pause: float = 0.0) -> Wire:
        """Send each piece in a segment of its own, with pauses between."""
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for each in pieces:
            self.send(each)
            time.sleep(pause)
        return self

    def request(self, target: str, *, method: str = "GET", body: bytes = b"", **headers: str) -> Response:
        """Send a request of this raw target and read its response; `_` in header names stands for `-`."""
        return self.send(head(target, method=method, body=body, **headers) + body).response(method)

    def response(self, method: str = "GET") -> Response:
        """Read one response; raise `ConnectionError` if the server closes before it is whole."""
        first = self._line()
        if not first.startswith(b"HTTP/1."):
            raise ConnectionError(f"the server sent {first[:80]!r} for a status line")
        status, headers = int(first.split()[1]), {}
        while line := self._line().rstrip(b"\r\n"):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        if 100 <= status < 200:
            return self.response(method)
        return Response(status, headers, self._body(status, headers, method))

    def rest(self) -> bytes:
        """Read until the server closes."""
        try:
            return self._file.read()
        except ConnectionResetError:
            return b""

    def closed(self) -> bool:
        """Wait until the server closes and return true, or false if it sends something else first."""
        try:
            return self._file.read(1) == b""
        except ConnectionResetError:
            return True

    def _line(self) -> bytes:
        line = self._file.readline(100_000)
        if not line:
            raise ConnectionResetError("the server closed the connection")
        return line

    def _body(self, status: int, headers: dict[str, str], method: str) -> bytes:
        if method == "HEAD" or status in (204, 304):
            return b""
        if headers.get("transfer-encoding") == "chunked":
            return self._chunks()
        if "content-length" not in headers:
            return self.rest()
        length = int(headers["content-length"])
        body = self._file.read(length)
        if len(body) < length:
            raise ConnectionResetError(f"{len(body)} of {length} bytes came")
        return body

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self._line().split(b";")[0], 16):
            body += self._file.read(size)
            self._line()
        while self._line().strip():
            pass
        return body


def head(target: str, *, method: str = "GET", body: bytes = b"", **headers: str) -> bytes:
    """The head of a request, which tests may damage; `_` in header names stands for `-`."""
    named = {"Host": "img.example", **{name.replace("_", "-"): value for name, value in headers.items()}}
    if body and not {"Content-Length", "Transfer-Encoding"} & named.keys():
        named["Content-Length"] = str(len(body))
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items())]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")
