"""The record in an SQLite file: one thread writes, a few read, and the event loop waits for none of them.

WAL lets readers go on while somebody writes. `synchronous=NORMAL`: what is committed outlives this
process, however it ends; a power cut may take the last moments' commits, never the file's soundness. Other
processes may have the same file open; whoever comes second waits, up to `_BUSY_SECONDS`.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.pool import NullPool

from imgproxy.errors import Unavailable
from imgproxy.files import migrations
from imgproxy.files.database import Notice, T, Work
from imgproxy.files.database.group import Writer

_READERS = 4
_BUSY_SECONDS = 10.0
_CACHE_KIB = 16_384
_MAPPED_BYTES = 2**31 - 2**16  # the most that libsqlite3 maps unless it is built otherwise
_OF_THE_FILE = (DatabaseError, OperationalError)
"""Locked, full, read-only; not a database, damaged. Other descendants are of what we asked for."""


class SqliteDatabase:
    """A record in one file, whose folder is made; see `Database` for what is promised."""

    notifies = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._here = threading.local()
        self._opened: list[Connection] = []
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="record-reads")
        self._writer = Writer(lambda: self._open(writes=True), translate=translated)
        self._closed = False

    async def read(self, work: Work[T]) -> T:
        """Run work that only reads, on one snapshot."""
        self._must_be_open()
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    async def write(self, work: Work[T]) -> T:
        """Run work in a transaction; when this returns, it is committed."""
        self._must_be_open()
        return await self._writer.write(work)

    async def told(self) -> AsyncIterator[Notice]:
        """Tell nothing: a file calls nobody."""
        nothing: tuple[Notice, ...] = ()
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

    def _read(self, work: Work[T]) -> T:
        with translated():
            connection: Connection | None = getattr(self._here, "connection", None)
            if connection is None:
                connection = self._here.connection = self._open(writes=False)
            with connection.begin():
                return work(connection)

    def _open(self, *, writes: bool) -> Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = _engine(self._path, writes=writes).connect()
        self._opened.append(connection)
        return connection

    def _end(self) -> None:
        self._readers.shutdown()
        self._writer.end()
        for connection in self._opened:
            connection.close()


@contextmanager
def translated() -> Iterator[None]:
    """Turn what SQLite says of its file into one of ours."""
    try:
        yield
    except (DatabaseError, OSError) as error:
        if isinstance(error, DatabaseError) and type(error) not in _OF_THE_FILE:
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

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    begin = "BEGIN IMMEDIATE" if writes else "BEGIN"

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _pragmas(*, writes: bool) -> Iterator[str]:
    yield f"cache_size=-{_CACHE_KIB}"
    yield f"mmap_size={_MAPPED_BYTES}"
    if writes:
        yield "journal_mode=WAL"
        yield "synchronous=NORMAL"
        yield "foreign_keys=ON"
    else:
        yield "query_only=ON"
