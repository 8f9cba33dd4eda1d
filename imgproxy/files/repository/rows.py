"""What rows and values say in one another's words; the only place that knows both."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Connection, Insert, Row, Table
from sqlalchemy.ext.compiler import compiles

from imgproxy.files.model import (
    Owner,
    Task,
    TenantId,
    Upload,
    UploadState,
    Visibility,
)


def add(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Insert a row; return False, and leave the transaction usable, if its keys are taken."""
    return connection.execute(insert_or_ignore(table), values).rowcount == 1


class InsertOrIgnore(Insert):
    """INSERT of a row unless its keys are taken.

    The dialects' own `on_conflict_do_nothing` is compiled anew for each execution (`inherit_cache = False`),
    which takes 1.1 ms for a row of `uploads`.
    """

    inherit_cache = True


@compiles(InsertOrIgnore)
def _compile(statement: InsertOrIgnore, compiler: Any, **options: Any) -> str:
    return f"{compiler.visit_insert(statement, **options)} ON CONFLICT DO NOTHING"


@cache  # SQLAlchemy finds the compiled text of one statement quicker than of an equal one
def insert_or_ignore(table: Table) -> InsertOrIgnore:
    """Return the statement that inserts a row unless its keys are taken."""
    return InsertOrIgnore(table).inline()


def upload_row(upload: Upload) -> dict[str, Any]:
    """The columns of `uploads`."""
    return {
        "id": upload.id,
        "tenant_id": upload.tenant,
        "collection": upload.collection,
        "key": upload.key,
        "staging_key": upload.staging_key,
        "kind": upload.kind,
        "declared_name": upload.declared_name,
        "declared_type": upload.declared_type,
        "declared_size": upload.declared_size,
        "category": upload.category,
        "visibility": upload.visibility,
        "owner_type": upload.owner.type,
        "owner_id": upload.owner.id,
        "state": upload.state,
        "storage_upload": upload.storage_upload,
        "file_id": upload.file_id,
        "url_expires_at": upload.url_expires_at,
        "created_at": upload.created_at,
        "claimed_at": upload.claimed_at,
    }


def upload(row: Row[Any]) -> Upload:
    """The upload of a row of `uploads`, in the order of its columns."""
    (
        id_,
        tenant,
        collection,
        key,
        staging_key,
        kind,
        declared_name,
        declared_type,
        declared_size,
        category,
        visibility,
        owner_type,
        owner_id,
        state,
        storage_upload,
        file_id,
        url_expires_at,
        created_at,
        claimed_at,
    ) = row
    return Upload(
        id=id_,
        tenant=tenant,
        collection=collection,
        key=key,
        staging_key=staging_key,
        kind=kind,
        declared_name=declared_name,
        visibility=Visibility(visibility),
        owner=Owner(owner_type, owner_id),
        state=UploadState(state),
        url_expires_at=url_expires_at,
        created_at=created_at,
        declared_type=declared_type,
        declared_size=declared_size,
        category=category,
        storage_upload=storage_upload,
        file_id=file_id,
        claimed_at=claimed_at,
    )


def task(row: Row[Any]) -> Task:
    """The task of a row of `outbox`."""
    return Task(
        id=row.id,
        tenant=TenantId(row.tenant_id),
        kind=row.kind,
        payload=row.payload,
        not_before=row.not_before,
        created_at=row.created_at,
        attempts=row.attempts,
        last_error=row.last_error,
        dead_at=row.dead_at,
    )
