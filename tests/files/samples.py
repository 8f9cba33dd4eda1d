"""Values to keep in a record, each different from the last."""

from __future__ import annotations

import os
from typing import Any

from sqlalchemy import Connection, delete, insert

from imgproxy.files.id_generator import uuid7
from imgproxy.files.model import (
    Collection,
    File,
    FileId,
    FileState,
    Owner,
    Task,
    TenantId,
    Upload,
    UploadId,
    UploadState,
    Visibility,
)
from imgproxy.files.tables import collections
from imgproxy.image.source import Key

ACME = TenantId("acme")
OTHER = TenantId("other")
NOW = 1_790_000_000_000


def id_() -> str:
    """A new id."""
    return uuid7(NOW, os.urandom)


def file(**changes: Any) -> File:
    """A ready public file of a user's, with some facts changed."""
    name = changes.get("id", id_())
    facts: dict[str, Any] = {
        "id": FileId(name),
        "tenant": ACME,
        "collection": "images",
        "key": Key(f"images/{name}/cat.jpg"),
        "object_key": Key(f"files/acme/{name}/1"),
        "etag": "abc",
        "original_name": "cat.jpg",
        "mime_type": "image/jpeg",
        "size": 1000,
        "visibility": Visibility.PUBLIC,
        "owner": Owner("user", "ann"),
        "state": FileState.READY,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return File(**facts | changes)


def upload(**changes: Any) -> Upload:
    """An upload that was just issued, with some facts changed."""
    name = changes.get("id", id_())
    facts: dict[str, Any] = {
        "id": UploadId(name),
        "tenant": ACME,
        "collection": "images",
        "key": Key(f"images/{name}/cat.jpg"),
        "staging_key": Key(f"staging/acme/{name}"),
        "kind": "single",
        "declared_name": "cat.jpg",
        "visibility": Visibility.PUBLIC,
        "owner": Owner("user", "ann"),
        "state": UploadState.ISSUED,
        "url_expires_at": NOW + 900_000,
        "created_at": NOW,
    }
    return Upload(**facts | changes)


def task(**changes: Any) -> Task:
    """A task that is due now, with some facts changed."""
    facts: dict[str, Any] = {
        "id": id_(),
        "tenant": ACME,
        "kind": "delete",
        "payload": {"key": "files/acme/1"},
        "not_before": NOW,
        "created_at": NOW,
    }
    return Task(**facts | changes)


def set_collection(connection: Connection, tenant: TenantId, collection: Collection) -> None:
    """Add a collection of a tenant, or replace it: the server only reads them."""
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
