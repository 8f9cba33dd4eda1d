"""The record in PostgreSQL: asyncpg, pooled, with a time limit on everything.

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
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from imgproxy.errors import Unavailable
from imgproxy.files import migrations
from imgproxy.files.database import Notice, T, Work
from imgproxy.files.database.listener import Listener

_CONNECTIONS = 10
_SECONDS = 5.0  # to connect, or to be given one of the pool's connections
_PAUSES = (
    0.0,
    0.05,
    0.2,
    0.75,
)  # seconds after an attempt; a server that restarts is back by then, or not soon
_MIGRATING = 7_596_557_268_837_201_273  # any number that nobody else locks

_SESSION = {
    "application_name": "imgproxy",
    "statement_timeout": "10s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "30s",  # or it would hold back `changes.current_mark`
    # Statements are prepared, and one value means a row where another means a million: plan each time.
    "plan_cache_mode": "force_custom_plan",
    "jit": "off",
}

_RUN_AGAIN = {"40001", "40P01"}
_CANNOT_NOW = (
    "08",
    "25",
    "53",
    "55",
    "57",
)  # classes of SQLSTATE: connection, state, resources, locks, operator
_UNREACHED = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


class PostgresDatabase:
    """A record on a server; see `Database` for what is promised."""

    notifies = True

    def __init__(self, url: str) -> None:
        self._engine = create_async_engine(
            _for_asyncpg(make_url(url)),
            pool_size=_CONNECTIONS,
            max_overflow=0,
            pool_timeout=_SECONDS,
            connect_args={"timeout": _SECONDS, "server_settings": _SESSION},
        )
        self._reading = self._engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._listener = Listener(self._connect)
        self._closed = False

    async def read(self, work: Work[T]) -> T:
        """Run work that only reads, on one snapshot."""
        return await self._run(self._reading, work)

    async def write(self, work: Work[T]) -> T:
        """Run work in a transaction; when this returns, it is committed."""
        return await self._run(self._engine, work)

    def told(self) -> AsyncIterator[Notice]:
        """Listen to changes of files on a connection of its own; reconnect by itself."""
        return self._listener.told()

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
        await self._engine.dispose()

    async def _run(self, engine: AsyncEngine, work: Work[T]) -> T:
        if self._closed:
            raise Unavailable("the record of files is closed")
        for pause in _PAUSES:
            try:
                return await _attempt(engine, work)
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


async def _attempt(engine: AsyncEngine, work: Work[T]) -> T:
    committing = False
    try:
        async with engine.connect() as connection, connection.begin():
            result = await connection.run_sync(work)
            committing = True
        return result
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None) or ""
        if state in _RUN_AGAIN or (error.connection_invalidated and not committing):
            raise _TryAgain from error
        if error.connection_invalidated or state[:2] in _CANNOT_NOW:
            raise _unavailable() from error
        raise
    except PoolTimeout as error:
        raise _unavailable() from error
    except _UNREACHED as error:
        raise _TryAgain from error


def _unavailable() -> Unavailable:
    return Unavailable("the record of files cannot be reached")


def _migrate(connection: Connection) -> None:
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(text("SET LOCAL lock_timeout = 0"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _MIGRATING})
    migrations.upgrade(connection)


def _for_asyncpg(url: URL) -> URL:
    """The URL as asyncpg reads it: `sslmode` is called `ssl` there."""
    query = dict(url.query)
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    return url.set(drivername="postgresql+asyncpg", query=query)
