"""The database in an SQLite file: one thread writes, four read, and the event loop waits for none of them.

WAL lets readers go on while a transaction writes. `synchronous=NORMAL`: what is committed outlives this
process, however it ends; a power cut may take the last moments' commits, never the file's soundness. Other
processes may have the same file open; the second writer waits, up to `_BUSY_SECONDS`.

A thread pool with SQLAlchemy's synchronous engine hops once a transaction; aiosqlite hops for each call of
the driver, and takes 481 µs of CPU a read in place of 308.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.pool import NullPool

from imgproxy import file_modes
from imgproxy.errors import Unavailable
from imgproxy.files import migrations
from imgproxy.files.database import (
    POOL_SECONDS,
    STATEMENT_SECONDS,
    ChangeNotice,
    DatabaseFault,
    T,
    Work,
    compact_json,
)

_READERS = 4
_BUSY_SECONDS = 10.0
_CACHE_KIB = 16_384
_MAPPED_BYTES = 2**31 - 2**16  # the most that libsqlite3 maps unless it is built otherwise
_STEPS = 100_000  # of SQLite's virtual machine between two looks at the clock, a millisecond or so
_OF_THE_FILE = (DatabaseError, OperationalError, sqlite3.DatabaseError, sqlite3.OperationalError)
"""Locked, full, read-only; not a database, damaged. Their subclasses blame the statement."""


class SqliteDatabase:
    """A database in one file, whose folder is made; see `Database`."""

    notifies = False

    def __init__(self, path: Path) -> None:
        self._reads = _Threads(path, _READERS, writes=False)
        self._writes = _Threads(path, 1, writes=True)

    async def read(self, work: Work[T]) -> T:
        """Run work that only reads, on one snapshot."""
        return await self._reads.run(work)

    async def write(self, work: Work[T]) -> T:
        """Run work in a transaction; on return it is committed."""
        return await self._writes.run(work)

    async def listen(self) -> AsyncIterator[ChangeNotice]:
        """Report nothing: SQLite has no notifications."""
        nothing: tuple[ChangeNotice, ...] = ()
        for notice in nothing:
            yield notice

    async def check(self) -> None:
        """Raise `Unavailable` unless the file can be read and has the tables of this version."""
        await self.read(migrations.expect_newest)

    async def migrate(self) -> None:
        """Bring the tables to this version; other processes that do so wait for the lock."""
        await self._writes.run(migrations.upgrade, seconds=float("inf"))

    async def close(self) -> None:
        """Let running work end, and close the file."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._reads.close()
        self._writes.close()


class _Threads:
    """Threads with a connection each; cancelled work runs whole if it has begun, else not at all."""

    def __init__(self, path: Path, count: int, *, writes: bool) -> None:
        self._path = path
        self._writes = writes
        self._executor = ThreadPoolExecutor(count, f"database-{'write' if writes else 'read'}")
        self._engine = create_engine(
            "sqlite://", creator=self._connect, poolclass=NullPool, json_serializer=compact_json
        )
        self._begin = "BEGIN IMMEDIATE" if writes else "BEGIN"
        self._own = threading.local()
        self._connections: list[Connection] = []
        self._closed = False

    async def run(self, work: Work[T], *, seconds: float | None = None) -> T:
        if self._closed:
            raise Unavailable("the database is closed")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._executor, self._run, work, time.monotonic(), seconds or STATEMENT_SECONDS
        )

    def close(self) -> None:
        self._closed = True
        self._executor.shutdown()
        for connection in self._connections:
            connection.close()

    def _run(self, work: Work[T], queued_at: float, seconds: float) -> T:
        started_at = time.monotonic()
        if started_at - queued_at > POOL_SECONDS:
            fault = DatabaseFault(f"pool exhausted: no thread was free for {POOL_SECONDS:.0f} s")
            raise Unavailable("the database is busy") from fault
        deadline = started_at + seconds
        with translated():
            connection, driver = self._connected()
            driver.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
            with connection.begin():
                driver.execute(self._begin)  # the driver begins none before a SELECT
                return work(connection)

    def _connected(self) -> tuple[Connection, sqlite3.Connection]:
        """Return this thread's connection, kept because a checkout costs as much as a small read."""
        own = self._own
        if not hasattr(own, "connection"):
            own.connection = self._engine.connect()
            own.driver = own.connection.connection.driver_connection
            self._connections.append(own.connection)
        return own.connection, own.driver

    def _connect(self) -> sqlite3.Connection:
        file_modes.make_folder(self._path.parent)
        file_modes.make_file(self._path)  # SQLite gives its -wal and -shm the mode of the file
        connection = sqlite3.connect(
            self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        for pragma in _pragmas(writes=self._writes):
            connection.execute(f"PRAGMA {pragma}")
        return connection


@contextmanager
def translated() -> Iterator[None]:
    """Turn SQLite's errors of the file into `Unavailable`; those of a statement stay."""
    try:
        yield
    except (DatabaseError, sqlite3.DatabaseError, OSError) as error:
        if not isinstance(error, OSError) and type(error) not in _OF_THE_FILE:
            raise
        fault = DatabaseFault(_cause(error))
        fault.__cause__ = error
        raise Unavailable("the database cannot be read or written") from fault


def _cause(error: DatabaseError | sqlite3.DatabaseError | OSError) -> str:
    text = str(error.orig if isinstance(error, DatabaseError) else error)
    return f"statement timeout: over {STATEMENT_SECONDS:.0f} s" if text == "interrupted" else text


def _pragmas(*, writes: bool) -> Iterator[str]:
    yield f"cache_size=-{_CACHE_KIB}"
    yield f"mmap_size={_MAPPED_BYTES}"
    if writes:
        yield "journal_mode=WAL"
        yield "synchronous=NORMAL"
        yield "foreign_keys=ON"
    else:
        yield "query_only=ON"
