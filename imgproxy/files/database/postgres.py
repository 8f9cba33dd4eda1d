"""The record in PostgreSQL: asyncpg, on a few connections, with a time limit on everything.

Work runs again when the server asks for it (serialization failure, deadlock), or when the connection was lost
before COMMIT was sent. After that nobody knows, so it is not run again: `Unavailable`, and whoever asks again
finds out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
from sqlalchemy import URL, Connection, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from imgproxy.errors import Unavailable
from imgproxy.files import migrations
from imgproxy.files.database import ChangeNotice, T, Work
from imgproxy.files.database.lanes import OF_THE_SERVER, Lanes, Waiting
from imgproxy.files.database.listener import Listener

_READERS = 5
_WRITERS = 5
_SECONDS = 5.0  # to connect, or to be begun with
# Seconds after an attempt: a server that restarts is back by then, or not soon.
_PAUSES = (0.0, 0.05, 0.2, 0.75)
_MIGRATING = 7_596_557_268_837_201_273  # any number that nobody else locks

_SESSION = {
    "application_name": "imgproxy",
    "statement_timeout": "10s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "30s",  # or it would hold back `changes.current_mark`
    "jit": "off",
}

_RUN_AGAIN = {"40001", "40P01"}
# Classes of SQLSTATE: connection, state, resources, locks, operator.
_CANNOT_NOW = ("08", "25", "53", "55", "57")
_BROKEN = ("08", "57P")  # the connection is no more, or will not be in a moment


class PostgresDatabase:
    """A record on a server; see `Database` for what is promised."""

    notifies = True

    def __init__(self, url: str) -> None:
        self._engine = create_async_engine(
            _for_asyncpg(_parsed(url)),
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",  # transactions are the lanes'
            connect_args={"timeout": _SECONDS, "server_settings": _SESSION},
        )
        self._reads = self._lanes(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", many=_READERS, reads=True
        )
        self._writes = self._lanes("BEGIN", many=_WRITERS, reads=False)
        self._listener = Listener(self._connect)
        self._closed = False

    async def read(self, work: Work[T]) -> T:
        """Run work that only reads, on one snapshot."""
        return await self._run(self._reads, work)

    async def write(self, work: Work[T]) -> T:
        """Run work in a transaction; when this returns, it is committed."""
        return await self._run(self._writes, work)

    def listen(self) -> AsyncIterator[ChangeNotice]:
        """Listen to changes of files on a connection of its own; reconnect by itself."""
        return self._listener.listen()

    async def check(self) -> None:
        """Raise `Unavailable` unless the server answers and has the tables of this version."""
        await self.read(migrations.expect_newest)

    async def migrate(self) -> None:
        """Bring the tables to this version; of those who do so at once one does, and the others wait."""
        await self.write(_migrate)

    async def close(self) -> None:
        """Let go of all connections."""
        self._closed = True
        await self._listener.close()
        await self._reads.close()
        await self._writes.close()
        await self._engine.dispose()

    def _lanes(self, begin: str, *, many: int, reads: bool) -> Lanes:
        return Lanes(self._open, begin=begin, many=many, seconds=_SECONDS, reads=reads)

    async def _open(self) -> AsyncConnection:
        try:
            return await self._engine.connect()
        except OF_THE_SERVER as error:  # even one that says why: it may be another server's word in a moment
            raise ConnectionError from error

    async def _run(self, lanes: Lanes, work: Work[T]) -> T:
        if self._closed:
            raise Unavailable("the record of files is closed")
        for pause in _PAUSES:
            try:
                return await _attempt(lanes.put(work))
            except _TryAgain as error:
                failure = error
            await asyncio.sleep(pause)
        raise _unavailable() from failure.__cause__

    async def _connect(self) -> asyncpg.Connection[Any]:
        _, arguments = self._engine.dialect.create_connect_args(self._engine.url)
        arguments.pop("async_creator_fn", None)
        connection: asyncpg.Connection[Any] = await asyncpg.connect(**arguments, timeout=_SECONDS)
        return connection


class _TryAgain(Exception):
    """The work was undone and may succeed if it is run once more."""


async def _attempt(waiting: Waiting[T]) -> T:
    try:
        return await waiting.outcome
    except OF_THE_SERVER as error:
        state, is_broken = _state(error)
        if state in _RUN_AGAIN or (is_broken and not waiting.committing):
            raise _TryAgain from error
        if is_broken or state[:2] in _CANNOT_NOW:
            raise _unavailable() from error
        raise


def _state(error: BaseException) -> tuple[str, bool]:
    """What the server says it is, and whether the connection is of no use any more."""
    if isinstance(error, DBAPIError):
        state = getattr(error.orig, "sqlstate", None) or ""
        return state, error.connection_invalidated or state.startswith(_BROKEN)
    state = getattr(error, "sqlstate", None) or ""
    return state, state.startswith(_BROKEN) or not state


def _unavailable() -> Unavailable:
    return Unavailable("the record of files cannot be reached")


def _migrate(connection: Connection) -> None:
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(text("SET LOCAL lock_timeout = 0"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _MIGRATING})
    migrations.upgrade(connection)


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):  # whose text has pieces of the password
        raise Unavailable(
            "IMGPROXY_DATABASE: postgresql://[USER[:PASSWORD]@]HOST[:PORT]/NAME is expected, "
            "with '@', ':' and '/' of a password percent-encoded"
        ) from None


def _for_asyncpg(url: URL) -> URL:
    """The URL as asyncpg reads it: `sslmode` is called `ssl` there."""
    query = dict(url.query)
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    return url.set(drivername="postgresql+asyncpg", query=query)
