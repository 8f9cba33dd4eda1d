"""Files: added once, changed against the version that was read, never removed.

Every write here keeps the indexes for finding in step, and tells listeners what they must know: nobody else
writes to `files`.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, select, tuple_, update

from imgproxy.errors import Changed, KeyExists
from imgproxy.files.model import File, FileId, TenantId
from imgproxy.files.repository import changes, index, rows
from imgproxy.files.tables import files, is_deleted
from imgproxy.image.source import Key


def insert_file(connection: Connection, file: File) -> None:
    """Add a file; raise `KeyExists` if its id, key or object key is taken."""
    changed = changes.mark_of_this_transaction(connection)
    if not rows.add(connection, files, rows.file_row(file) | {"changed": changed}):
        raise KeyExists("this key is registered already")
    index.add(connection, file)
    changes.notify(connection, file.key)


def file_by_id(connection: Connection, tenant: TenantId, id_: FileId) -> File | None:
    """One of a tenant's files, in whatever state."""
    found = connection.execute(
        select(files).where(files.c.id == id_, files.c.tenant_id == tenant)
    ).one_or_none()
    return rows.file(found) if found else None


def lock_file(connection: Connection, tenant: TenantId, id_: FileId) -> File | None:
    """The same, and nobody else changes it before this transaction ends."""
    found = connection.execute(
        select(files).where(files.c.id == id_, files.c.tenant_id == tenant).with_for_update()
    ).one_or_none()
    return rows.file(found) if found else None


def file_by_key(connection: Connection, key: Key) -> File | None:
    """The file of a key, of whatever tenant and in whatever state: for the edge, which knows no tenant."""
    found = connection.execute(select(files).where(files.c.key == key)).one_or_none()
    return rows.file(found) if found else None


def file_by_object_key(connection: Connection, object_key: Key) -> File | None:
    """The file whose bytes lie at a place, of whatever tenant: for sweeps."""
    found = connection.execute(select(files).where(files.c.object_key == object_key)).one_or_none()
    return rows.file(found) if found else None


def update_file(connection: Connection, before: File, after: File) -> File:
    """Change a file from what was read to something else; return it with its new row version.

    Raise `Changed` if somebody else was quicker. Id, tenant and key stay. Whether the generation goes up is
    the caller's to say; if it does, listeners are told.
    """
    after = replace(after, row_version=before.row_version + 1)
    told = after.generation != before.generation
    values = rows.file_row(after)
    for fixed in ("id", "tenant_id", "key"):
        del values[fixed]
    if told:
        values["changed"] = changes.mark_of_this_transaction(connection)
    changed = connection.execute(
        update(files)
        .where(
            files.c.id == before.id,
            files.c.tenant_id == before.tenant,
            files.c.row_version == before.row_version,
        )
        .values(values)
    )
    if changed.rowcount != 1:
        raise Changed("the file has changed meanwhile")
    index.replace(connection, before, after)
    if told:
        changes.notify(connection, after.key)
    return after


def files_to_purge(
    connection: Connection, *, now: int, after: File | None = None, limit: int = 100
) -> list[File]:
    """Deleted files of all tenants whose retention has ended, oldest first; page on with `after`."""
    query = select(files).where(is_deleted, files.c.purge_after <= now)
    if after is not None:
        query = query.where(tuple_(files.c.purge_after, files.c.id) > (after.purge_after, after.id))
    query = query.order_by(files.c.purge_after, files.c.id).limit(limit)
    return [rows.file(row) for row in connection.execute(query)]
