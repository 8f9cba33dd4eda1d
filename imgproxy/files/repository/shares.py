"""Shares: who a `shared` file is shared with."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, delete, insert, select

from imgproxy.files.model import FileId, Share, TenantId
from imgproxy.files.tables import shares


def shares_of(connection: Connection, tenant: TenantId, file_id: FileId) -> tuple[Share, ...]:
    """Who a file is shared with, expired shares included."""
    found = connection.execute(
        select(shares)
        .where(shares.c.tenant_id == tenant, shares.c.file_id == file_id)
        .order_by(shares.c.type, shares.c.principal_id)
    )
    return tuple(Share(row.type, row.principal_id, row.expires_at) for row in found)


def replace_shares(
    connection: Connection, tenant: TenantId, file_id: FileId, wanted: Iterable[Share]
) -> None:
    """Share a file with these and nobody else; of two shares with one principal the last counts."""
    remove_shares(connection, tenant, file_id)
    values = {
        (share.type, share.id): {
            "tenant_id": tenant,
            "file_id": file_id,
            "type": share.type,
            "principal_id": share.id,
            "expires_at": share.expires_at,
        }
        for share in wanted
    }
    if values:
        connection.execute(insert(shares), list(values.values()))


def remove_shares(connection: Connection, tenant: TenantId, file_id: FileId) -> None:
    """Share a file with nobody."""
    connection.execute(delete(shares).where(shares.c.tenant_id == tenant, shares.c.file_id == file_id))
