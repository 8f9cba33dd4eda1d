"""LISTEN on a connection of its own, held for as long as somebody listens (PostgreSQL's NOTIFY).

A connection that is half dead says nothing, so after a while of silence it is asked for a sign of life.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import asyncpg

from imgproxy.files.database import ChangeNotice
from imgproxy.files.repository.changes import CHANNEL

_PAUSE = 0.25  # seconds between attempts to connect
_QUIET = 5.0  # seconds of silence after which the connection must show that it lives
_FAILURES = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)

_LOST = ChangeNotice("lost")


class Listener:
    """Tells each who asks of every change; `connect` opens a connection that nobody else uses."""

    def __init__(self, connect: Callable[[], Awaitable[Any]]) -> None:
        self._connect = connect
        self._closed = asyncio.Event()
        self._listening: set[asyncio.Queue[ChangeNotice]] = set()

    async def listen(self) -> AsyncIterator[ChangeNotice]:
        """Yield `listening`, keys as they change, `lost`, and so on, until closed."""
        while not self._closed.is_set():
            try:
                connection = await self._connect()
            except _FAILURES:
                await self._wait(_PAUSE)
                continue
            try:
                async for notice in self._notices(connection):
                    yield notice
            finally:
                connection.terminate()

    async def close(self) -> None:
        """End every `listen`."""
        self._closed.set()
        for came in self._listening:
            came.put_nowait(_LOST)

    async def _notices(self, connection: Any) -> AsyncIterator[ChangeNotice]:
        """What one connection says; it ends with `lost`."""
        came: asyncio.Queue[ChangeNotice] = asyncio.Queue()
        self._listening.add(came)
        try:
            async for notice in self._heard(connection, came):
                yield notice
        finally:
            self._listening.discard(came)

    async def _heard(self, connection: Any, came: asyncio.Queue[ChangeNotice]) -> AsyncIterator[ChangeNotice]:
        connection.add_termination_listener(lambda _connection: came.put_nowait(_LOST))
        try:
            await connection.add_listener(
                CHANNEL, lambda *said: came.put_nowait(ChangeNotice("key", said[-1]))
            )
        except _FAILURES:
            return
        yield ChangeNotice("listening")
        while True:
            notice = await self._next(connection, came)
            yield notice
            if notice is _LOST:
                return

    async def _next(self, connection: Any, came: asyncio.Queue[ChangeNotice]) -> ChangeNotice:
        while not self._closed.is_set():
            with suppress(TimeoutError):
                return await asyncio.wait_for(came.get(), _QUIET)
            try:
                await connection.execute("SELECT 1", timeout=_QUIET)
            except _FAILURES:
                return _LOST
        return _LOST

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closed.wait(), seconds)
