"""The one way to the record: a piece of work over a SQLAlchemy Core connection, in one transaction.

    Database ── read(work), write(work), listen(), check(), close()
    ├── sqlite     one writer thread that commits in groups, a few reader threads
    └── postgres   asyncpg, a few connections that work off what waits

Work is a synchronous `Callable[[Connection], T]`, free of side effects: it may run twice (a serialization
failure, a connection lost), and what it raises undoes what it wrote. It holds the only transaction it has,
so it asks for nothing but the record.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from sqlalchemy import Connection as Connection  # for who writes work, and may not import SQLAlchemy

from imgproxy.files.database_url import DatabaseUrl, PostgresUrl, SqliteUrl

T = TypeVar("T")
Work = Callable[[Connection], T]


@dataclass(frozen=True, slots=True)
class ChangeNotice:
    """What a listener is told.

    `listening`: from now on every change is told; what happened before must be asked for.
    `lost`: changes may go untold until the next `listening`. `key`: this file has changed.
    """

    kind: Literal["listening", "lost", "key"]
    key: str = ""


class Database(Protocol):
    """The record's engine; its members keep the same promises and run the same tests.

    Raise `Unavailable` when the engine does not answer in time; whether a write was kept is unknown then only
    if it failed while committing. What work itself raises comes out as it is.
    """

    notifies: bool
    """Whether `listen` tells; if not, ask `repository.changes.changes_since`."""

    async def read(self, work: Work[T]) -> T:
        """Run work that only reads, on one snapshot."""

    async def write(self, work: Work[T]) -> T:
        """Run work in a transaction; when this returns, it is committed and every reader sees it."""

    def listen(self) -> AsyncIterator[ChangeNotice]:
        """Listen to changes of files for as long as it is iterated; reconnect by itself."""

    async def check(self) -> None:
        """Raise `Unavailable` unless the record can be read and has the tables of this version."""

    async def migrate(self) -> None:
        """Bring the tables to this version; many processes may do so at once."""

    async def close(self) -> None:
        """Let what is under way end, and let go of everything."""


async def open_database(address: DatabaseUrl) -> Database:
    """Open the record at an address; nothing is asked of it yet."""
    match address:
        case SqliteUrl(path):
            from imgproxy.files.database.sqlite import SqliteDatabase

            return SqliteDatabase(path)
        case PostgresUrl(url):
            from imgproxy.files.database.postgres import PostgresDatabase

            return PostgresDatabase(url)
