"""Tenants, their API keys and their collections."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from imgproxy.errors import Conflict
from imgproxy.files.model import ApiKey, Collection, Tenant, TenantId, Visibility
from imgproxy.files.repository import rows
from imgproxy.files.tables import api_keys, collections, tenants


def insert_tenant(connection: Connection, tenant: Tenant) -> None:
    """Add a tenant; raise `Conflict` if its id is taken."""
    values = {"id": tenant.id, "name": tenant.name, "created_at": tenant.created_at}
    if not rows.add(connection, tenants, values | {"disabled_at": tenant.disabled_at}):
        raise Conflict("there is such a tenant already")


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


def collection_by_name(connection: Connection, tenant: TenantId, name: str) -> Collection | None:
    """A collection of a tenant: its own, or the default of that name."""
    found = connection.execute(
        select(collections).where(collections.c.tenant_id == tenant, collections.c.name == name)
    ).one_or_none()
    return _collection(found) if found else None


def collections_of(connection: Connection, tenant: TenantId) -> tuple[Collection, ...]:
    """Return the collections that a tenant has beside or in place of the defaults, by name."""
    query = select(collections).where(collections.c.tenant_id == tenant).order_by(collections.c.name)
    return tuple(map(_collection, connection.execute(query)))


def _collection(row: Row[Any]) -> Collection:
    return Collection(
        name=row.name,
        default_visibility=Visibility(row.default_visibility),
        max_size=row.max_size,
        types=tuple(row.types),
        min_size=row.min_size,
        retention=row.retention,
    )
