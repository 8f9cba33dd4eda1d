"""Places of objects, and what the record says of them: for sweeps, which go across tenants."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, or_, select

from imgproxy.files.model import FileId, FileState, TenantId
from imgproxy.files.tables import files, uploads, uploads_open
from imgproxy.image.source import Key


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file's bytes must lie."""

    object_key: Key
    tenant: TenantId
    file_id: FileId
    key: Key


def places_named(connection: Connection, object_keys: Iterable[Key], *, ended_before: int) -> set[Key]:
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


def places_of_files(connection: Connection, *, after: str, upto: str, limit: int) -> list[Place]:
    """Places of files that are not purged, in order, from `after` (exclusive) to `upto` (inclusive)."""
    found = connection.execute(
        select(files.c.object_key, files.c.tenant_id, files.c.id, files.c.key)
        .where(files.c.object_key > after, files.c.object_key <= upto)
        .where(files.c.state != FileState.PURGED)
        .order_by(files.c.object_key)
        .limit(limit)
    )
    return [
        Place(Key(row.object_key), TenantId(row.tenant_id), FileId(row.id), Key(row.key)) for row in found
    ]


def is_place_of_file(connection: Connection, place: Place) -> bool:
    """Whether a file's bytes must lie there still."""
    found = connection.execute(
        select(files.c.id).where(files.c.object_key == place.object_key, files.c.state != FileState.PURGED)
    )
    return found.one_or_none() is not None
