"""The database of files: work over a SQLAlchemy Core connection, in one transaction.

    Database ── read(work), write(work), listen(), check(), migrate(), close()
    ├── sqlite     a thread that writes and four that read, one transaction to a hop
    └── postgres   asyncpg, a pool for reads and one for writes

Work is a synchronous `Callable[[Connection], T]` without side effects: it may run twice (serialization
failure, lost connection), and what it raises rolls back what it wrote. It opens no other transaction.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol, TypeVar

from sqlalchemy import Connection as Connection  # for rooms that write work, and may not import SQLAlchemy

from imgproxy.files.database_url import DatabaseUrl, PostgresUrl, SqliteUrl

T = TypeVar("T")
Work = Callable[[Connection], T]

POOL_SECONDS = 5.0
"""Maximum time that work waits for a connection: both engines report a full pool after it."""
STATEMENT_SECONDS = 10.0
"""Maximum duration of a statement (PostgreSQL) or of a transaction's statements (SQLite)."""

compact_json = partial(json.dumps, ensure_ascii=False, separators=(",", ":"))
"""JSON of columns without spaces and escapes that cost bytes."""


@dataclass(frozen=True, slots=True)
class ChangeNotice:
    """News for a listener.

    `listening`: every change is reported from now on; look up earlier ones.
    `lost`: changes may go unreported until the next `listening`. `key`: this file has changed.
    """

    kind: Literal["listening", "lost", "key"]
    key: str = ""


class DatabaseFault(Exception):
    """Cause of an `Unavailable`, for operators: the log, `doctor` and the start; without secrets."""


class Database(Protocol):
    """Interface of both engines; they run the same tests.

    Raise `Unavailable`, from a `DatabaseFault`, when the engine does not serve in time. The outcome of a
    write is unknown then only if it failed while committing. What work itself raises comes out as it is.
    A cancelled caller's write is whole or nothing.
    """

    notifies: bool
    """Whether `listen` reports changes; if not, poll `repository.changes.changes_since`."""

    async def read(self, work: Work[T]) -> T:
        """Run work that only reads, on one snapshot."""

    async def write(self, work: Work[T]) -> T:
        """Run work in a transaction; on return it is committed and visible to every reader."""

    def listen(self) -> AsyncIterator[ChangeNotice]:
        """Report changes of files for as long as it is iterated; reconnect by itself."""

    async def check(self) -> None:
        """Raise `Unavailable` unless the database can be read and has the tables of this version."""

    async def migrate(self) -> None:
        """Bring the tables to this version; many processes may do so at once."""

    async def close(self) -> None:
        """Let running work end, and close every connection."""


async def open_database(url: DatabaseUrl) -> Database:
    """Open the database at a URL; it connects when it is first used."""
    match url:
        case SqliteUrl(path):
            from imgproxy.files.database.sqlite import SqliteDatabase

            return SqliteDatabase(path)
        case PostgresUrl(address):
            from imgproxy.files.database.postgres import PostgresDatabase

            return PostgresDatabase(address)
