"""The database in PostgreSQL: asyncpg and SQLAlchemy's pools, with a time limit on everything.

Work runs again after a serialization failure or deadlock, or when the connection was lost before COMMIT was
sent. After that the outcome is unknown, so the work does not run again: `Unavailable`, and a client that
retries finds out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Generic

import asyncpg
from sqlalchemy import URL, Connection, make_url, text
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from imgproxy.errors import Unavailable
from imgproxy.files import migrations
from imgproxy.files.database import (
    POOL_SECONDS,
    STATEMENT_SECONDS,
    ChangeNotice,
    T,
    Work,
    compact_json,
    postgres_faults,
)
from imgproxy.files.database.listener import Listener
from imgproxy.files.database.postgres_faults import PostgresFault, connect_fault, is_broken, work_fault

_POOL_SIZE = 5  # of reads, and of writes: slow lists must not keep writes from a connection
_CONNECT_SECONDS = 5.0
_GRACE_SECONDS = 5.0  # after which the server has not ended a statement at its timeout, and is away
# Seconds after an attempt: a server that restarts is back by then, or not soon.
_PAUSES = (0.0, 0.05, 0.2, 0.75)
_MIGRATION_LOCK = 7_596_557_268_837_201_273  # arbitrary

_SESSION = {
    "application_name": "imgproxy",
    "statement_timeout": f"{STATEMENT_SECONDS:.0f}s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "30s",  # or it would hold back `changes.current_mark`
    "jit": "off",
}
_READING = {"default_transaction_isolation": "repeatable read", "default_transaction_read_only": "on"}
_MIGRATING = {"statement_timeout": "0", "lock_timeout": "0", "idle_in_transaction_session_timeout": "0"}


class PostgresDatabase:
    """A database on a server; see `Database`."""

    notifies = True

    def __init__(self, url: str) -> None:
        self._url = _for_asyncpg(_parsed(url))
        self._reads = self._engine(_SESSION | _READING)
        self._writes = self._engine(_SESSION)
        self._listener = Listener(self._connect)
        self._closed = False

    async def read(self, work: Work[T]) -> T:
        """Run work that only reads, on one snapshot."""
        return await self._run(self._reads, work)

    async def write(self, work: Work[T]) -> T:
        """Run work in a transaction; on return it is committed."""
        return await self._run(self._writes, work)

    def listen(self) -> AsyncIterator[ChangeNotice]:
        """Report changes of files on a connection of its own; reconnect by itself."""
        return self._listener.listen()

    async def check(self) -> None:
        """Raise `Unavailable` unless the server responds and has the tables of this version."""
        await self.read(migrations.expect_newest)

    async def migrate(self) -> None:
        """Bring the tables to this version; of processes that do so at once one does, and the others wait."""
        engine = self._engine(_SESSION | _MIGRATING, seconds=None)
        try:
            await self._run(engine, _migrate)
        finally:
            await engine.dispose()

    async def close(self) -> None:
        """Close every connection; work that runs keeps its own until it ends."""
        self._closed = True
        await self._listener.close()
        await self._reads.dispose()
        await self._writes.dispose()

    def _engine(
        self, session: dict[str, str], *, seconds: float | None = STATEMENT_SECONDS + _GRACE_SECONDS
    ) -> AsyncEngine:
        return create_async_engine(
            self._url,
            pool_size=_POOL_SIZE,
            max_overflow=0,
            json_serializer=compact_json,
            pool_timeout=POOL_SECONDS,
            pool_use_lifo=True,  # few connections stay warm
            connect_args={
                "timeout": _CONNECT_SECONDS,
                "command_timeout": seconds,
                "server_settings": session,
            },
        )

    async def _run(self, engine: AsyncEngine, work: Work[T]) -> T:
        if self._closed:
            raise Unavailable("the database is closed")
        for pause in _PAUSES:
            attempt = _Attempt(work)
            try:
                async with engine.connect() as connection:
                    return await connection.run_sync(attempt.run)
            except postgres_faults.RAISED as error:
                found = attempt.fault(error)
                if found is None:
                    raise
                fault = found
                fault.__cause__ = error
            if not fault.retry:
                break
            await asyncio.sleep(pause)
        raise Unavailable(fault.message) from fault

    async def _connect(self) -> asyncpg.Connection[Any]:
        _, arguments = self._writes.dialect.create_connect_args(self._url)
        arguments.pop("async_creator_fn", None)
        connection: asyncpg.Connection[Any] = await asyncpg.connect(**arguments, timeout=_CONNECT_SECONDS)
        return connection


@dataclass(slots=True)
class _Attempt(Generic[T]):
    """Work in one transaction, and how far it came."""

    work: Work[T]
    connected: bool = False
    committing: bool = False

    def run(self, connection: Connection) -> T:
        self.connected = True
        with connection.begin():
            try:
                result = self.work(connection)
            except postgres_faults.RAISED as error:
                if is_broken(error) and not connection.invalidated:
                    connection.invalidate()  # or ROLLBACK would wait for the server
                raise
            self.committing = True
        return result

    def fault(self, error: Exception) -> PostgresFault | None:
        return work_fault(error, committing=self.committing) if self.connected else connect_fault(error)


def _migrate(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _MIGRATION_LOCK})
    migrations.upgrade(connection)


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):  # their text has pieces of the password
        raise Unavailable(
            "IMGPROXY_DATABASE: must be postgresql://[USER[:PASSWORD]@]HOST[:PORT]/NAME, "
            "with '@', ':' and '/' of a password percent-encoded"
        ) from None


def _for_asyncpg(url: URL) -> URL:
    """Return the URL as asyncpg reads it: `sslmode` is called `ssl` there."""
    query = dict(url.query)
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    return url.set(drivername="postgresql+asyncpg", query=query)
