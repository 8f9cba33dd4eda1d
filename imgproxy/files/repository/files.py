"""Files: added once, changed against the version that was read, never removed.

Every write goes through here: it computes the columns that lists search, and notifies listeners.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Update,
    and_,
    bindparam,
    delete,
    insert,
    or_,
    select,
    tuple_,
    update,
)

from imgproxy.errors import Changed, KeyExists
from imgproxy.files.fields import file_of_row, file_row
from imgproxy.files.model import File, FileId, Share, TenantId
from imgproxy.files.repository import changes, rows
from imgproxy.files.repository.search_columns import search_columns
from imgproxy.files.tables import facts, files, is_deleted, shares
from imgproxy.image.source import Key

_ONE = (files.c.id == bindparam("id"), files.c.tenant_id == bindparam("tenant"))
_BY_ID = select(*facts).where(*_ONE)
_LOCKED = _BY_ID.with_for_update()
_BY_KEY = select(*facts).where(files.c.key == bindparam("key"))
_FIXED = ("id", "tenant_id", "key", "seq", "tenant_code")

_ENDED = select(*facts).where(is_deleted, files.c.purge_after <= bindparam("now"))
_ENDED = _ENDED.order_by(files.c.purge_after, files.c.id).limit(bindparam("limit"))
_ENDED_AFTER = _ENDED.where(
    tuple_(files.c.purge_after, files.c.id) > tuple_(bindparam("purge_after"), bindparam("id"))
)


def insert_file(connection: Connection, file: File) -> None:
    """Add a file; raise `KeyExists` if its id, key or object key is taken."""
    values = file_row(file) | search_columns(file)
    while not connection.execute(_inserting(connection.dialect.name), values).rowcount:
        if _exists(connection, file):
            raise KeyExists("this key is registered already")
        values["seq"] += 1  # a file of the same millisecond has drawn the same bits
    changes.notify(connection, file.key)


def file_by_id(connection: Connection, tenant: TenantId, id_: FileId) -> File | None:
    """One of a tenant's files, in whatever state."""
    found = connection.execute(_BY_ID, {"id": id_, "tenant": tenant}).one_or_none()
    return file_of_row(found) if found else None


def lock_file(connection: Connection, tenant: TenantId, id_: FileId) -> File | None:
    """The same, and nobody else changes it before this transaction ends."""
    found = connection.execute(_LOCKED, {"id": id_, "tenant": tenant}).one_or_none()
    return file_of_row(found) if found else None


def file_by_key(connection: Connection, key: Key) -> File | None:
    """The file of a key, of whatever tenant and in whatever state: for the edge, which knows no tenant."""
    found = connection.execute(_BY_KEY, {"key": key}).one_or_none()
    return file_of_row(found) if found else None


def update_file(connection: Connection, before: File, after: File) -> File:
    """Change a file from what was read to something else; return it with its new row version.

    Raise `Changed` if somebody else was quicker. Id, tenant and key stay. Whether the generation goes up is
    the caller's to say; if it does, listeners are told.
    """
    after = replace(after, row_version=before.row_version + 1)
    told = after.generation != before.generation
    values = file_row(after) | search_columns(after)
    for name in _FIXED:
        del values[name]
    here = {"file_id": before.id, "tenant": before.tenant, "before": before.row_version}
    if not connection.execute(_updating(connection.dialect.name, told=told), values | here).rowcount:
        raise Changed("the file has changed meanwhile")
    if told:
        changes.notify(connection, after.key)
    return after


def _exists(connection: Connection, file: File) -> bool:
    same = or_(files.c.id == file.id, files.c.key == file.key, files.c.object_key == file.object_key)
    return connection.execute(select(files.c.seq).where(same)).first() is not None


@cache
def _inserting(engine: str) -> rows.InsertOrIgnore:
    return rows.insert_or_ignore(files).values(changed=changes.mark_of_this_transaction(engine))


@cache
def _updating(engine: str, *, told: bool) -> Update:
    statement = update(files).where(
        files.c.id == bindparam("file_id"),
        files.c.tenant_id == bindparam("tenant"),
        files.c.row_version == bindparam("before"),
    )
    return statement.values(changed=changes.mark_of_this_transaction(engine)) if told else statement


def files_to_purge(
    connection: Connection, *, now: int, after: File | None = None, limit: int = 100
) -> list[File]:
    """Deleted files of all tenants whose retention has ended, oldest first; page on with `after`."""
    values = {"now": now, "limit": limit}
    if after is None:
        return [file_of_row(row) for row in connection.execute(_ENDED, values)]
    place = {"purge_after": after.purge_after, "id": after.id}
    return [file_of_row(row) for row in connection.execute(_ENDED_AFTER, values | place)]


def shares_of(connection: Connection, tenant: TenantId, file_id: FileId) -> tuple[Share, ...]:
    """Return the shares of a file, expired ones included."""
    found = connection.execute(
        select(shares).where(_of_file(tenant, file_id)).order_by(shares.c.type, shares.c.principal_id)
    )
    return tuple(Share(row.type, row.principal_id, row.expires_at) for row in found)


def replace_shares(
    connection: Connection, tenant: TenantId, file_id: FileId, wanted: Iterable[Share]
) -> None:
    """Replace the shares of a file; of two shares with one principal the last counts."""
    remove_shares(connection, tenant, file_id)
    values = {
        (share.type, share.id): {
            "tenant_id": tenant,
            "type": share.type,
            "principal_id": share.id,
            "expires_at": share.expires_at,
        }
        for share in wanted
    }
    if values:
        seq = connection.execute(_seq(tenant, file_id)).scalar_one()
        connection.execute(insert(shares), [each | {"seq": seq} for each in values.values()])


def remove_shares(connection: Connection, tenant: TenantId, file_id: FileId) -> None:
    """Remove all shares of a file."""
    connection.execute(delete(shares).where(_of_file(tenant, file_id)))


def _of_file(tenant: TenantId, file_id: FileId) -> ColumnElement[bool]:
    return and_(shares.c.tenant_id == tenant, shares.c.seq == _seq(tenant, file_id).scalar_subquery())


def _seq(tenant: TenantId, file_id: FileId) -> Select[tuple[int]]:
    return select(files.c.seq).where(files.c.id == file_id, files.c.tenant_id == tenant)
