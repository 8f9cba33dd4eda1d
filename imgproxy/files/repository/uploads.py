"""Uploads: issued before any URL is, and moved on by compare-and-set, so that one caller wins each step."""

from __future__ import annotations

from collections.abc import Collection as AnyOf

from sqlalchemy import ColumnElement, Connection, bindparam, delete, or_, select, tuple_, update

from imgproxy.errors import KeyExists
from imgproxy.files.model import FileId, TenantId, Upload, UploadId, UploadState
from imgproxy.files.repository import rows
from imgproxy.files.tables import uploads, uploads_open
from imgproxy.image.source import Key

_OF_TENANT = uploads.c.tenant_id == bindparam("tenant")
_BY_ID = select(uploads).where(uploads.c.id == bindparam("id"), _OF_TENANT)
_BY_KEY = select(uploads).where(uploads.c.key == bindparam("key"), _OF_TENANT)
_BY_STAGING_KEY = select(uploads).where(uploads.c.staging_key == bindparam("staging_key"))


def insert_upload(connection: Connection, upload: Upload) -> None:
    """Add an upload; raise `KeyExists` if its id, key or staging key is taken."""
    if not rows.add(connection, uploads, rows.upload_row(upload)):
        raise KeyExists("there is an upload of this key already")


def upload_by_id(connection: Connection, tenant: TenantId, id_: UploadId) -> Upload | None:
    """One of a tenant's uploads."""
    found = connection.execute(_BY_ID, {"id": id_, "tenant": tenant}).one_or_none()
    return rows.upload(found) if found else None


def upload_by_key(connection: Connection, tenant: TenantId, key: Key) -> Upload | None:
    """The upload of a tenant that is to be, or became, the file of a key."""
    found = connection.execute(_BY_KEY, {"key": key, "tenant": tenant}).one_or_none()
    return rows.upload(found) if found else None


def upload_of_any_tenant(connection: Connection, key: Key) -> Upload | None:
    """The upload of a key, of whatever tenant: for the edge, which knows no tenant."""
    found = connection.execute(select(uploads).where(uploads.c.key == key)).one_or_none()
    return rows.upload(found) if found else None


def upload_by_staging_key(connection: Connection, staging_key: Key) -> Upload | None:
    """The upload that may write to a place, of whatever tenant: for the gateway and sweeps."""
    found = connection.execute(_BY_STAGING_KEY, {"staging_key": staging_key}).one_or_none()
    return rows.upload(found) if found else None


def transition_upload(
    connection: Connection,
    tenant: TenantId,
    id_: UploadId,
    *,
    from_states: AnyOf[UploadState],
    to: UploadState,
    now: int,
    stale_before: int | None = None,
    file_id: FileId | None = None,
) -> Upload | None:
    """Move an upload on, and return it as it is now; None if it was in none of `from_states`.

    Of any number of callers, one wins. One that somebody began to complete before `stale_before` is
    taken over from him: he is not there any more.
    """
    claimable: ColumnElement[bool] = uploads.c.state.in_([*from_states])
    if stale_before is not None:
        abandoned = (uploads.c.state == UploadState.COMPLETING) & (uploads.c.claimed_at < stale_before)
        claimable = or_(claimable, abandoned)
    found = connection.execute(
        update(uploads)
        .where(uploads.c.id == id_, uploads.c.tenant_id == tenant, claimable)
        .values(
            state=to,
            claimed_at=now if to is UploadState.COMPLETING else None,
            **({"file_id": file_id} if file_id else {}),
        )
        .returning(uploads)
    ).one_or_none()
    return rows.upload(found) if found else None


def end_upload_lease(
    connection: Connection, tenant: TenantId, id_: UploadId, *, holder: FileId, to: UploadState
) -> bool:
    """Move on an upload that is being completed as the file `holder`; return whether it still was.

    A caller whose lease another has taken over holds it no longer: each lease names a file of its own.
    """
    held = (uploads.c.state == UploadState.COMPLETING) & (uploads.c.file_id == holder)
    cleared = {"file_id": None} if to is UploadState.ISSUED else {}
    changed = connection.execute(
        update(uploads)
        .where(uploads.c.id == id_, uploads.c.tenant_id == tenant, held)
        .values(state=to, claimed_at=None, **cleared)
    )
    return changed.rowcount == 1


def set_storage_upload(connection: Connection, tenant: TenantId, id_: UploadId, storage_upload: str) -> bool:
    """Note storage's name of a multipart upload that is still issued; return whether it was."""
    changed = connection.execute(
        update(uploads)
        .where(uploads.c.id == id_, uploads.c.tenant_id == tenant, uploads.c.state == UploadState.ISSUED)
        .values(storage_upload=storage_upload)
    )
    return changed.rowcount == 1


def extend_upload(connection: Connection, tenant: TenantId, id_: UploadId, url_expires_at: int) -> bool:
    """Note that a URL was signed that ends at `url_expires_at`; return whether the upload is still issued."""
    later = uploads.c.url_expires_at < url_expires_at
    still = (uploads.c.id == id_, uploads.c.tenant_id == tenant, uploads.c.state == UploadState.ISSUED)
    connection.execute(update(uploads).where(*still, later).values(url_expires_at=url_expires_at))
    return connection.execute(select(uploads.c.id).where(*still)).one_or_none() is not None


def expired_uploads(
    connection: Connection, *, before: int, after: Upload | None = None, limit: int = 100
) -> list[Upload]:
    """Open uploads of all tenants whose last URL ended before a time, oldest first; page on with `after`."""
    query = select(uploads).where(uploads_open, uploads.c.url_expires_at < before)
    if after is not None:
        place = tuple_(uploads.c.url_expires_at, uploads.c.id)
        query = query.where(place > (after.url_expires_at, after.id))
    query = query.order_by(uploads.c.url_expires_at, uploads.c.id).limit(limit)
    return [rows.upload(row) for row in connection.execute(query)]


def delete_upload(connection: Connection, tenant: TenantId, id_: UploadId) -> None:
    """Remove an upload's row; its staging place must hold nothing any more."""
    connection.execute(delete(uploads).where(uploads.c.id == id_, uploads.c.tenant_id == tenant))
