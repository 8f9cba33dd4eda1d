"""Orphan candidates: objects that no row named when a sweep last looked."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, delete, select

from imgproxy.files.model import Orphan
from imgproxy.files.repository import rows
from imgproxy.files.tables import orphan_candidates
from imgproxy.image.source import Key


def insert_orphan(connection: Connection, orphan: Orphan) -> None:
    """Note an object that no row names; one that is noted already keeps the time it was first seen."""
    values = {"object_key": orphan.object_key, "first_seen": orphan.first_seen, "size": orphan.size}
    rows.add(connection, orphan_candidates, values)


def orphan_by_key(connection: Connection, object_key: Key) -> Orphan | None:
    """What is noted of an object."""
    found = connection.execute(
        select(orphan_candidates).where(orphan_candidates.c.object_key == object_key)
    ).one_or_none()
    return Orphan(Key(found.object_key), found.first_seen, found.size) if found else None


def list_orphans(connection: Connection, *, after: str = "", limit: int = 100) -> list[Orphan]:
    """Candidates by key; page on with the last one's key."""
    found = connection.execute(
        select(orphan_candidates)
        .where(orphan_candidates.c.object_key > after)
        .order_by(orphan_candidates.c.object_key)
        .limit(limit)
    )
    return [Orphan(Key(row.object_key), row.first_seen, row.size) for row in found]


def remove_orphans(connection: Connection, object_keys: Iterable[Key]) -> None:
    """Forget candidates: removed, or not orphans after all."""
    for object_key in object_keys:
        connection.execute(delete(orphan_candidates).where(orphan_candidates.c.object_key == object_key))
