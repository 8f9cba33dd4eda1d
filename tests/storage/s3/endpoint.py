"""An endpoint that speaks HTTP as badly as it is told, and counts how often it was asked.

Each answer is a function that writes to a connection, which is closed when it returns. The last answer
is given again and again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from imgproxy.storage.s3 import S3Options

Answer = Callable[[asyncio.StreamWriter, str], Awaitable[None]]
"""Writes to a connection; is told the method, for HEAD is answered without a body."""

_MODIFIED = "Last-Modified: Wed, 01 Jan 2025 00:00:00 GMT\r\n"


class Endpoint:
    """A server on a port of its own."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        """The first line of each."""
        self._answers: tuple[Answer, ...] = ()
        self._connections: set[asyncio.Task[None]] = set()
        self.port = 0

    def gives(self, *answers: Answer) -> None:
        """Set what is answered from now on."""
        self.requests.clear()
        self._answers = answers

    @property
    def options(self) -> S3Options:
        """Options of a storage with little patience."""
        return S3Options(
            "bucket",
            endpoint=f"http://127.0.0.1:{self.port}",
            path_style=True,
            connect_timeout=5.0,
            idle_timeout=0.1,
            deadline=20.0,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Endpoint]:
        """Listen while inside."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for connection in self._connections:
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)
            await server.wait_closed()

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.ensure_future(self._answer(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                answer = self._answers[min(len(self.requests), len(self._answers) - 1)]
                self.requests.append(head.splitlines()[0])
                await answer(writer, head.split()[0])
                await writer.drain()
            finally:
                writer.close()
                await writer.wait_closed()


def whole(
    body: bytes, *, status: str = "200 OK", headers: str = _MODIFIED, length: int | None = None
) -> Answer:
    """Send a body; of another length than it has, if told so."""

    async def answer(writer: asyncio.StreamWriter, method: str) -> None:
        announced = len(body) if length is None else length
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Length: {announced}\r\nConnection: close\r\n{headers}\r\n".encode()
            + (b"" if method == "HEAD" else body)
        )

    return answer


def refusal(status: int, code: str = "") -> Answer:
    """Send an error as S3 does."""
    body = f"<Error><Code>{code}</Code><Message>secret-detail</Message></Error>" if code else ""
    return whole(body.encode(), status=f"{status} Reason")


async def hang_up(writer: asyncio.StreamWriter, method: str) -> None:
    """Send nothing and close."""


async def silence(writer: asyncio.StreamWriter, method: str) -> None:
    """Send nothing and keep the connection."""
    await asyncio.Event().wait()


async def stall(writer: asyncio.StreamWriter, method: str) -> None:
    """Send the beginning of a body, and no more."""
    await whole(b"01234", length=10)(writer, method)
    await writer.drain()
    await asyncio.Event().wait()


async def endless(writer: asyncio.StreamWriter, method: str) -> None:
    """Send a body whose length is not announced, for ever."""
    writer.write(f"HTTP/1.1 200 OK\r\nConnection: close\r\n{_MODIFIED}\r\n".encode())
    while True:
        writer.write(bytes(64 * 1024))
        await writer.drain()


async def endless_chunked(writer: asyncio.StreamWriter, method: str) -> None:
    """Send chunks for ever."""
    writer.write(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{_MODIFIED}\r\n".encode())
    while True:
        writer.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
        await writer.drain()


async def bad_chunks(writer: asyncio.StreamWriter, method: str) -> None:
    """Send a chunk whose size is no number."""
    writer.write(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{_MODIFIED}\r\nzz\r\nxx\r\n".encode())


async def no_http(writer: asyncio.StreamWriter, method: str) -> None:
    """Speak something else."""
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
