"""LISTEN on a connection of its own (PostgreSQL's NOTIFY).

A half-open connection delivers nothing and reports no error, so a silent one is probed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import asyncpg

from imgproxy.files.database import ChangeNotice
from imgproxy.files.repository.changes import CHANNEL

_RETRY_SECONDS = 0.25
_PROBE_SECONDS = 5.0
_FAILURES = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)

_LOST = ChangeNotice("lost")
_changed = partial(ChangeNotice, "key")


class Listener:
    """Reporter of changes to each iterator; `connect` opens a connection for it alone."""

    def __init__(self, connect: Callable[[], Awaitable[Any]]) -> None:
        self._connect = connect
        self._closed = asyncio.Event()
        self._queues: set[asyncio.Queue[ChangeNotice]] = set()

    async def listen(self) -> AsyncIterator[ChangeNotice]:
        """Yield `listening`, keys as they change, `lost`, and so on, until closed."""
        while not self._closed.is_set():
            try:
                connection = await self._connect()
            except _FAILURES:
                await self._wait(_RETRY_SECONDS)
                continue
            try:
                async for notice in self._notices(connection):
                    yield notice
            finally:
                connection.terminate()

    async def close(self) -> None:
        """End every iterator of `listen`."""
        self._closed.set()
        for queue in self._queues:
            queue.put_nowait(_LOST)

    async def _notices(self, connection: Any) -> AsyncIterator[ChangeNotice]:
        """Yield the notices of one connection; the last is `lost`."""
        queue: asyncio.Queue[ChangeNotice] = asyncio.Queue()
        self._queues.add(queue)
        connection.add_termination_listener(lambda _: queue.put_nowait(_LOST))
        try:
            await connection.add_listener(
                CHANNEL, lambda *data: queue.put_nowait(ChangeNotice("key", data[-1]))
            )
            notice = ChangeNotice("listening")
            yield notice
            while notice is not _LOST:
                notice = await self._next(connection, queue)
                yield notice
        except _FAILURES:
            return
        finally:
            self._queues.discard(queue)

    async def _next(self, connection: Any, queue: asyncio.Queue[ChangeNotice]) -> ChangeNotice:
        while not self._closed.is_set():
            with suppress(TimeoutError):
                return await asyncio.wait_for(queue.get(), _PROBE_SECONDS)
            try:
                await connection.execute("SELECT 1", timeout=_PROBE_SECONDS)
            except _FAILURES:
                return _LOST
        return _LOST

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closed.wait(), seconds)
