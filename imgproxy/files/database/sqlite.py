"""The record in an SQLite file: one thread writes, a few read, and the event loop waits for none of them.

WAL lets readers go on while somebody writes. `synchronous=NORMAL`: what is committed outlives this
process, however it ends; a power cut may take the last moments' commits, never the file's soundness. Other
processes may have the same file open; whoever comes second waits, up to `_BUSY_SECONDS`.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.pool import NullPool

from imgproxy import file_modes
from imgproxy.errors import Unavailable
from imgproxy.files import migrations
from imgproxy.files.database import ChangeNotice, T, Work
from imgproxy.files.database.group import Connected, Line

_READERS = 4
_BUSY_SECONDS = 10.0
_CACHE_KIB = 16_384
_MAPPED_BYTES = 2**31 - 2**16  # the most that libsqlite3 maps unless it is built otherwise
_OF_THE_FILE = (DatabaseError, OperationalError, sqlite3.DatabaseError, sqlite3.OperationalError)
"""Locked, full, read-only; not a database, damaged. Other descendants are of what we asked for."""


class SqliteDatabase:
    """A record in one file, whose folder is made; see `Database` for what is promised."""

    notifies = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: list[Connected] = []
        self._reads = self._line("record-reads", threads=_READERS, begin="BEGIN", writes=False)
        self._writes = self._line("record-writes", threads=1, begin="BEGIN IMMEDIATE", writes=True)
        self._closed = False

    async def read(self, work: Work[T]) -> T:
        """Run work that only reads, on one snapshot."""
        self._must_be_open()
        return await self._reads.run(work)

    async def write(self, work: Work[T]) -> T:
        """Run work in a transaction; when this returns, it is committed."""
        self._must_be_open()
        return await self._writes.run(work)

    async def listen(self) -> AsyncIterator[ChangeNotice]:
        """Tell nothing: a file calls nobody."""
        nothing: tuple[ChangeNotice, ...] = ()
        for notice in nothing:
            yield notice

    async def check(self) -> None:
        """Raise `Unavailable` unless the file can be read and has the tables of this version."""
        await self.read(migrations.expect_newest)

    async def migrate(self) -> None:
        """Bring the tables to this version; whoever else does so at the same time waits."""
        await self.write(migrations.upgrade)

    async def close(self) -> None:
        """Let what is under way end, and let go of the file."""
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._end)

    def _must_be_open(self) -> None:
        if self._closed:
            raise Unavailable("the record of files is closed")

    def _line(self, name: str, *, threads: int, begin: str, writes: bool) -> Line:
        connect = partial(self._open, writes=writes)
        return Line(connect, name=name, threads=threads, begin=begin, translate=translated)

    def _open(self, *, writes: bool) -> Connected:
        file_modes.make_folder(self._path.parent)
        file_modes.make_file(self._path)  # SQLite gives its -wal and -shm the mode of the file
        connection = _engine(self._path, writes=writes).connect()
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)  # noqa: S101  what creator gave it
        opened = Connected(connection, driver.execute)
        self._opened.append(opened)
        return opened

    def _end(self) -> None:
        self._reads.end()
        self._writes.end()
        for opened in self._opened:
            opened.connection.close()


@contextmanager
def translated() -> Iterator[None]:
    """Turn what SQLite says of its file into one of ours."""
    try:
        yield
    except (DatabaseError, sqlite3.DatabaseError, OSError) as error:
        if not isinstance(error, OSError) and type(error) not in _OF_THE_FILE:
            raise
        raise Unavailable("the record of files cannot be read or written") from error


def _engine(path: Path, *, writes: bool) -> Engine:
    def connect() -> sqlite3.Connection:
        # isolation_level=None: we begin transactions ourselves, the library would not before a SELECT.
        # Each connection is one thread's; only closing is another's.
        connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        for pragma in _pragmas(writes=writes):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    # Transactions are the thread's, for groups: to SQLAlchemy each statement is one.
    return create_engine(
        "sqlite://", creator=connect, poolclass=NullPool, isolation_level="AUTOCOMMIT", query_cache_size=2000
    )


def _pragmas(*, writes: bool) -> Iterator[str]:
    yield f"cache_size=-{_CACHE_KIB}"
    yield f"mmap_size={_MAPPED_BYTES}"
    if writes:
        yield "journal_mode=WAL"
        yield "synchronous=NORMAL"
        yield "foreign_keys=ON"
    else:
        yield "query_only=ON"
