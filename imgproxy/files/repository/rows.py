"""What rows and values say in one another's words; the only place that knows both."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Dialect, Row, Table
from sqlalchemy.dialects import postgresql, sqlite

from imgproxy.files.model import (
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
from imgproxy.image.source import Key


def add(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Insert a row; return False, and leave the transaction usable, if its keys are taken."""
    if any(isinstance(value, ColumnElement) for value in values.values()):
        return connection.execute(_adding(table, connection.dialect).values(values)).rowcount == 1
    return connection.execute(_compiled(table, connection.dialect, tuple(values)), values).rowcount == 1


def _adding(table: Table, dialect: Dialect) -> Any:
    engine = postgresql if dialect.name == "postgresql" else sqlite
    return engine.insert(table).on_conflict_do_nothing()


@lru_cache(maxsize=64)
def _compiled(table: Table, dialect: Dialect, columns: tuple[str, ...]) -> Any:
    """The statement as text: SQLAlchemy keeps none with ON CONFLICT, and compiling takes most of a write."""
    return _adding(table, dialect).compile(dialect=dialect, column_keys=list(columns))


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
    """The upload of a row of `uploads`."""
    return Upload(
        id=UploadId(row.id),
        tenant=TenantId(row.tenant_id),
        collection=row.collection,
        key=Key(row.key),
        staging_key=Key(row.staging_key),
        kind=row.kind,
        declared_name=row.declared_name,
        declared_type=row.declared_type,
        declared_size=row.declared_size,
        category=row.category,
        visibility=Visibility(row.visibility),
        owner=Owner(row.owner_type, row.owner_id),
        state=UploadState(row.state),
        storage_upload=row.storage_upload,
        file_id=FileId(row.file_id) if row.file_id else None,
        url_expires_at=row.url_expires_at,
        created_at=row.created_at,
        claimed_at=row.claimed_at,
    )


def file_row(file: File) -> dict[str, Any]:
    """The columns of `files`, but for `changed`."""
    return {
        "id": file.id,
        "tenant_id": file.tenant,
        "collection": file.collection,
        "key": file.key,
        "object_key": file.object_key,
        "etag": file.etag,
        "original_name": file.original_name,
        "mime_type": file.mime_type,
        "size": file.size,
        "visibility": file.visibility,
        "owner_type": file.owner.type,
        "owner_id": file.owner.id,
        "state": file.state,
        "created_at": file.created_at,
        "updated_at": file.updated_at,
        "row_version": file.row_version,
        "generation": file.generation,
        "width": file.width,
        "height": file.height,
        "category": file.category,
        "description": file.description,
        "alt": file.alt,
        "related_entity_id": file.related_entity_id,
        "tags": list(file.tags),
        "metadata": dict(file.metadata),
        "deleted_at": file.deleted_at,
        "purge_after": file.purge_after,
    }


def file(row: Row[Any]) -> File:
    """The file of a row of `files`."""
    return File(
        id=FileId(row.id),
        tenant=TenantId(row.tenant_id),
        collection=row.collection,
        key=Key(row.key),
        object_key=Key(row.object_key),
        etag=row.etag,
        original_name=row.original_name,
        mime_type=row.mime_type,
        size=row.size,
        visibility=Visibility(row.visibility),
        owner=Owner(row.owner_type, row.owner_id),
        state=FileState(row.state),
        created_at=row.created_at,
        updated_at=row.updated_at,
        row_version=row.row_version,
        generation=row.generation,
        width=row.width,
        height=row.height,
        category=row.category,
        description=row.description,
        alt=row.alt,
        related_entity_id=row.related_entity_id,
        tags=tuple(row.tags),
        metadata=row.metadata,
        deleted_at=row.deleted_at,
        purge_after=row.purge_after,
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
