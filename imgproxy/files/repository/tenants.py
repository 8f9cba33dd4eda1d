"""Tenants: whose data it is."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from imgproxy.errors import Conflict
from imgproxy.files.model import Tenant, TenantId
from imgproxy.files.repository import rows
from imgproxy.files.tables import tenants


def insert_tenant(connection: Connection, tenant: Tenant) -> None:
    """Add a tenant; raise `Conflict` if its id is taken."""
    values = {"id": tenant.id, "name": tenant.name, "created_at": tenant.created_at}
    if not rows.add(connection, tenants, values | {"disabled_at": tenant.disabled_at}):
        raise Conflict("there is such a tenant already")


def tenant_by_id(connection: Connection, id_: TenantId) -> Tenant | None:
    """A tenant, disabled or not."""
    found = connection.execute(select(tenants).where(tenants.c.id == id_)).one_or_none()
    return Tenant(TenantId(found.id), found.name, found.created_at, found.disabled_at) if found else None


def disable_tenant(connection: Connection, id_: TenantId, *, now: int | None) -> bool:
    """Have all keys of a tenant refused from now on, or with None have them taken again."""
    changed = connection.execute(update(tenants).where(tenants.c.id == id_).values(disabled_at=now))
    return changed.rowcount == 1
