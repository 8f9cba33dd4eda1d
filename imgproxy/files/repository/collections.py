"""Collections as tenants have set them; what has no row is as `files.collections` says."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from imgproxy.files import collections as defaults
from imgproxy.files.model import Collection, TenantId, Visibility
from imgproxy.files.tables import collections


def collection_by_name(connection: Connection, tenant: TenantId, name: str) -> Collection | None:
    """A collection of a tenant: its own, or the default of that name."""
    found = connection.execute(
        select(collections).where(collections.c.tenant_id == tenant, collections.c.name == name)
    ).one_or_none()
    return _collection(found) if found else defaults.DEFAULTS.get(name)


def collections_of(connection: Connection, tenant: TenantId) -> tuple[Collection, ...]:
    """All collections of a tenant by name, the defaults included."""
    own = connection.execute(select(collections).where(collections.c.tenant_id == tenant))
    every = dict(defaults.DEFAULTS) | {row.name: _collection(row) for row in own}
    return tuple(every[name] for name in sorted(every))


def set_collection(connection: Connection, tenant: TenantId, collection: Collection) -> None:
    """Give a tenant a collection, or change one."""
    connection.execute(
        delete(collections).where(collections.c.tenant_id == tenant, collections.c.name == collection.name)
    )
    connection.execute(
        insert(collections),
        {
            "tenant_id": tenant,
            "name": collection.name,
            "default_visibility": collection.default_visibility,
            "min_size": collection.min_size,
            "max_size": collection.max_size,
            "types": list(collection.types),
            "retention": collection.retention,
        },
    )


def _collection(row: Row[Any]) -> Collection:
    return Collection(
        name=row.name,
        default_visibility=Visibility(row.default_visibility),
        max_size=row.max_size,
        types=tuple(row.types),
        min_size=row.min_size,
        retention=row.retention,
    )
