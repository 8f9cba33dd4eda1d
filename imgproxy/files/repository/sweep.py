"""Object keys that rows name, and orphan candidates: statements of sweeps, which go across tenants."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, or_, select

from imgproxy.files.model import FileId, FileState, Orphan, TenantId
from imgproxy.files.repository import rows
from imgproxy.files.tables import files, orphan_candidates, uploads, uploads_open
from imgproxy.image.source import Key


@dataclass(frozen=True, slots=True)
class FileObject:
    """Where a file's bytes must lie."""

    object_key: Key
    tenant: TenantId
    file_id: FileId
    key: Key


def referenced_keys(connection: Connection, object_keys: Iterable[Key], *, ended_before: int) -> set[Key]:
    """Of these places, those where an object may lie: a file's, or an upload's that goes on.

    So may one of an upload that has ended, as long as its last URL did not end before `ended_before`.
    """
    asked = list(object_keys)
    of_files = select(files.c.object_key).where(
        files.c.object_key.in_(asked), files.c.state != FileState.PURGED
    )
    of_uploads = select(uploads.c.staging_key).where(
        uploads.c.staging_key.in_(asked), or_(uploads_open, uploads.c.url_expires_at >= ended_before)
    )
    found = [*connection.execute(of_files).scalars(), *connection.execute(of_uploads).scalars()]
    return {Key(each) for each in found}


def file_objects(connection: Connection, *, after: str, upto: str, limit: int) -> list[FileObject]:
    """Places of files that are not purged, in order, from `after` (exclusive) to `upto` (inclusive)."""
    found = connection.execute(
        select(files.c.object_key, files.c.tenant_id, files.c.id, files.c.key)
        .where(files.c.object_key > after, files.c.object_key <= upto)
        .where(files.c.state != FileState.PURGED)
        .order_by(files.c.object_key)
        .limit(limit)
    )
    return [
        FileObject(Key(row.object_key), TenantId(row.tenant_id), FileId(row.id), Key(row.key))
        for row in found
    ]


def is_file_object(connection: Connection, place: FileObject) -> bool:
    """Whether a file's bytes must lie there still."""
    found = connection.execute(
        select(files.c.id).where(files.c.object_key == place.object_key, files.c.state != FileState.PURGED)
    )
    return found.one_or_none() is not None


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
