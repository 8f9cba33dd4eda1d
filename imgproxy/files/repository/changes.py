"""What changed since a mark: for edges that were not told, because nobody tells them or they were away.

Every change that the edge must know of writes `files.changed`. On SQLite writers wait for each other, so a
counter rises in the order of commits. On PostgreSQL they do not: a lower number may be committed after a
higher one was read. So there the number is the transaction's own (`xid8`), and a mark is the oldest
transaction that was still running when it was taken (`pg_snapshot_xmin`): whatever was not visible then has
a number no lower. What had been committed above it is told twice, which is harmless. A transaction that
never ends would have ever more told twice; `Database` ends those that do nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Text,
    bindparam,
    func,
    literal_column,
    select,
    text,
)

from imgproxy.files.tables import POSTGRESQL, files
from imgproxy.image.source import Key

CHANNEL = "imgproxy_files"
_NOTIFY = select(func.pg_notify(CHANNEL, bindparam("key", type_=Text)))


@dataclass(frozen=True, slots=True)
class Changes:
    """Keys that changed, and the mark from which to ask the next time."""

    keys: tuple[Key, ...]
    mark: int
    complete: bool
    """If not, more changed than are told: forget everything."""


@cache  # who makes statements of it knows them by it
def mark_of_this_transaction(engine: str) -> ColumnElement[int]:
    """What a row that changes now has in `changed`, as SQL."""
    if engine == POSTGRESQL:
        return literal_column("pg_current_xact_id()::text::bigint", Integer)
    return (func.coalesce(select(func.max(files.c.changed)).scalar_subquery(), 0) + 1).self_group()


def changes_since(connection: Connection, mark: int, *, limit: int = 10_000) -> Changes:
    """Files of all tenants that changed since a mark was taken; begin with `current_mark`."""
    new = current_mark(connection)
    found = connection.execute(
        select(files.c.key).where(files.c.changed >= mark).order_by(files.c.changed).limit(limit + 1)
    )
    keys = tuple(Key(row.key) for row in found)
    return Changes(keys[:limit], new, complete=len(keys) <= limit)


def current_mark(connection: Connection) -> int:
    """A mark before which everything is visible to this transaction, or was undone."""
    if connection.dialect.name == POSTGRESQL:
        found = connection.execute(text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"))
        return int(found.scalar_one())
    return _highest(connection) + 1


def notify(connection: Connection, key: Key) -> None:
    """Tell all who listen that a file has changed, as soon as this transaction is committed."""
    if connection.dialect.name == POSTGRESQL:
        connection.execute(_NOTIFY, {"key": key})


def _highest(connection: Connection) -> int:
    return connection.execute(select(func.max(files.c.changed))).scalar_one() or 0
