"""API keys: kept as SHA-256, found by it; whoever reads the table can use none of them."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from imgproxy.files.model import ApiKey, TenantId
from imgproxy.files.tables import api_keys, tenants


def insert_key(connection: Connection, key: ApiKey) -> None:
    """Add a key of a tenant that is there."""
    connection.execute(
        insert(api_keys),
        {
            "id": key.id,
            "tenant_id": key.tenant,
            "kind": key.kind,
            "sha256": key.sha256,
            "created_at": key.created_at,
            "expires_at": key.expires_at,
            "revoked_at": key.revoked_at,
        },
    )


def key_by_sha256(connection: Connection, sha256: bytes) -> ApiKey | None:
    """The key of a hash, unless its tenant is disabled; it may have expired or been revoked."""
    found = connection.execute(
        select(api_keys)
        .join(tenants, tenants.c.id == api_keys.c.tenant_id)
        .where(api_keys.c.sha256 == sha256, tenants.c.disabled_at.is_(None))
    ).one_or_none()
    if found is None:
        return None
    return ApiKey(
        id=found.id,
        tenant=TenantId(found.tenant_id),
        kind=found.kind,
        sha256=found.sha256,
        created_at=found.created_at,
        expires_at=found.expires_at,
        revoked_at=found.revoked_at,
    )


def revoke_key(connection: Connection, tenant: TenantId, id_: str, *, now: int) -> bool:
    """Revoke a key; return whether it was there and not revoked yet."""
    changed = connection.execute(
        update(api_keys)
        .where(api_keys.c.id == id_, api_keys.c.tenant_id == tenant, api_keys.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    return changed.rowcount == 1
