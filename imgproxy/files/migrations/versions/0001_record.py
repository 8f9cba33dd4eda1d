"""The record of files."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

_WORDS = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_GRAMS = sa.Text().with_variant(postgresql.ARRAY(sa.BigInteger()), "postgresql")
_SIGNATURE = _NUMBER.with_variant(postgresql.BIT(384), "postgresql")
_ORDERS = ("created_at", "updated_at", "original_name", "size", "mime_type")
_FILTERS = ("owner_id", "owner_type", "collection", "mime_type", "category")


def upgrade() -> None:
    _tenants()
    _uploads()
    _files()
    _search()
    _work()


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def _tenants() -> None:
    op.create_table(
        "tenants",
        sa.Column("id", _WORDS, nullable=False),
        sa.Column("name", _WORDS, nullable=False),
        sa.Column("created_at", _NUMBER, nullable=False),
        sa.Column("disabled_at", _NUMBER),
        sa.PrimaryKeyConstraint("id", name="tenants_pkey"),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", _WORDS, nullable=False),
        sa.Column("tenant_id", _WORDS, nullable=False),
        sa.Column("kind", _WORDS, nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", _NUMBER, nullable=False),
        sa.Column("expires_at", _NUMBER),
        sa.Column("revoked_at", _NUMBER),
        sa.CheckConstraint("kind IN ('pk', 'sk')", name="api_keys_kind_check"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="api_keys_tenant_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="api_keys_pkey"),
        sa.UniqueConstraint("sha256", name="api_keys_sha256_key"),
    )
    op.create_index("api_keys_tenant_id_id", "api_keys", ["tenant_id", "id"])
    op.create_table(
        "collections",
        sa.Column("tenant_id", _WORDS, nullable=False),
        sa.Column("name", _WORDS, nullable=False),
        sa.Column("default_visibility", _WORDS, nullable=False),
        sa.Column("min_size", _NUMBER, nullable=False),
        sa.Column("max_size", _NUMBER, nullable=False),
        sa.Column("types", sa.JSON(), nullable=False),
        sa.Column("retention", _NUMBER, nullable=False),
        sa.CheckConstraint(
            "default_visibility IN ('public', 'private', 'protected', 'shared')",
            name="collections_default_visibility_check",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "name", name="collections_pkey"),
    )


def _uploads() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", _WORDS, nullable=False),
        sa.Column("tenant_id", _WORDS, nullable=False),
        sa.Column("collection", _WORDS, nullable=False),
        sa.Column("key", _WORDS, nullable=False),
        sa.Column("staging_key", _WORDS, nullable=False),
        sa.Column("kind", _WORDS, nullable=False),
        sa.Column("declared_name", _WORDS, nullable=False),
        sa.Column("declared_type", _WORDS),
        sa.Column("declared_size", _NUMBER),
        sa.Column("category", _WORDS),
        sa.Column("visibility", _WORDS, nullable=False),
        sa.Column("owner_type", _WORDS, nullable=False),
        sa.Column("owner_id", _WORDS, nullable=False),
        sa.Column("state", _WORDS, nullable=False),
        sa.Column("storage_upload", _WORDS),
        sa.Column("file_id", _WORDS),
        sa.Column("url_expires_at", _NUMBER, nullable=False),
        sa.Column("created_at", _NUMBER, nullable=False),
        sa.Column("claimed_at", _NUMBER),
        sa.CheckConstraint(
            "state IN ('issued', 'completing', 'published', 'consumed', 'aborted', 'expired')",
            name="uploads_state_check",
        ),
        sa.PrimaryKeyConstraint("id", name="uploads_pkey"),
        sa.UniqueConstraint("key", name="uploads_key_key"),
        sa.UniqueConstraint("staging_key", name="uploads_staging_key_key"),
    )
    op.create_index(
        "uploads_open", "uploads", ["url_expires_at", "id"], **_where("state IN ('issued', 'completing')")
    )


def _files() -> None:
    op.create_table(
        "files",
        sa.Column("id", _WORDS, nullable=False),
        sa.Column("tenant_id", _WORDS, nullable=False),
        sa.Column("collection", _WORDS, nullable=False),
        sa.Column("key", _WORDS, nullable=False),
        sa.Column("object_key", _WORDS, nullable=False),
        sa.Column("etag", _WORDS, nullable=False),
        sa.Column("original_name", _WORDS, nullable=False),
        sa.Column("mime_type", _WORDS, nullable=False),
        sa.Column("size", _NUMBER, nullable=False),
        sa.Column("visibility", _WORDS, nullable=False),
        sa.Column("owner_type", _WORDS, nullable=False),
        sa.Column("owner_id", _WORDS, nullable=False),
        sa.Column("state", _WORDS, nullable=False),
        sa.Column("created_at", _NUMBER, nullable=False),
        sa.Column("updated_at", _NUMBER, nullable=False),
        sa.Column("row_version", _NUMBER, nullable=False),
        sa.Column("generation", _NUMBER, nullable=False),
        sa.Column("width", _NUMBER),
        sa.Column("height", _NUMBER),
        sa.Column("category", _WORDS),
        sa.Column("description", _WORDS),
        sa.Column("alt", _WORDS),
        sa.Column("related_entity_id", _WORDS),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("deleted_at", _NUMBER),
        sa.Column("purge_after", _NUMBER),
        sa.Column("changed", _NUMBER, nullable=False),
        sa.Column("signature", _SIGNATURE),
        sa.CheckConstraint("state IN ('ready', 'deleted', 'purged')", name="files_state_check"),
        sa.CheckConstraint(
            "visibility IN ('public', 'private', 'protected', 'shared')", name="files_visibility_check"
        ),
        sa.PrimaryKeyConstraint("id", name="files_pkey"),
        sa.UniqueConstraint("key", name="files_key_key"),
        sa.UniqueConstraint("object_key", name="files_object_key_key"),
    )
    _listed()
    op.create_index("files_changed", "files", ["changed"])
    op.create_index("files_to_purge", "files", ["purge_after", "id"], **_where("state = 'deleted'"))
    op.create_table(
        "file_tags",
        sa.Column("tenant_id", _WORDS, nullable=False),
        sa.Column("visibility", _WORDS, nullable=False),
        sa.Column("tag", _WORDS, nullable=False),
        sa.Column("created_at", _NUMBER, nullable=False),
        sa.Column("file_id", _WORDS, nullable=False),
        sa.Column("updated_at", _NUMBER, nullable=False),
        sa.Column("original_name", _WORDS, nullable=False),
        sa.Column("size", _NUMBER, nullable=False),
        sa.Column("mime_type", _WORDS, nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "visibility", "tag", "created_at", "file_id", name="file_tags_pkey"
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("file_tags_file_id", "file_tags", ["file_id"])
    for order in _ORDERS[1:]:
        columns = ["tenant_id", "visibility", "tag", order, "file_id"]
        op.create_index(f"file_tags_by_{order}", "file_tags", columns)
    op.create_table(
        "shares",
        sa.Column("tenant_id", _WORDS, nullable=False),
        sa.Column("file_id", _WORDS, nullable=False),
        sa.Column("type", _WORDS, nullable=False),
        sa.Column("principal_id", _WORDS, nullable=False),
        sa.Column("expires_at", _NUMBER),
        sa.CheckConstraint("type IN ('user', 'role', 'group')", name="shares_type_check"),
        sa.PrimaryKeyConstraint("tenant_id", "file_id", "type", "principal_id", name="shares_pkey"),
    )
    op.create_index(
        "shares_tenant_id_type_principal_id_file_id",
        "shares",
        ["tenant_id", "type", "principal_id", "file_id"],
    )


def _listed() -> None:
    """An index for each filter with each order."""
    for order in _ORDERS:
        for leading in ([], *([each] for each in _FILTERS if each != order)):
            also = ["owner_type"] if leading == ["owner_id"] else []
            if not leading:
                also = ["signature"] if order == "created_at" else ["created_at", "signature"]
            op.create_index(
                f"files_by_{'_'.join([*leading, order])}",
                "files",
                ["tenant_id", "visibility", *leading, order, "id", *also],
                **_where("state = 'ready'"),
            )


def _search() -> None:
    op.create_table(
        "file_search",
        sa.Column("seq", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("file_id", _WORDS, nullable=False),
        sa.Column("updated_at", _NUMBER),
        sa.Column("original_name", _WORDS),
        sa.Column("size", _NUMBER),
        sa.Column("mime_type", _WORDS),
        sa.Column("text", _WORDS, nullable=False),
        sa.Column("grams", _GRAMS),
        sa.PrimaryKeyConstraint("seq", name="file_search_pkey"),
        sa.UniqueConstraint("file_id", name="file_search_file_id_key"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.create_index(
            "file_search_grams",
            "file_search",
            ["grams"],
            postgresql_using="gin",
            postgresql_with={"fastupdate": "off"},
        )
    else:
        op.execute(
            "CREATE VIRTUAL TABLE file_grams USING fts5(grams, content='', detail='none', tokenize='ascii')"
        )


def _work() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", _WORDS, nullable=False),
        sa.Column("tenant_id", _WORDS, nullable=False),
        sa.Column("kind", _WORDS, nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("not_before", _NUMBER, nullable=False),
        sa.Column("created_at", _NUMBER, nullable=False),
        sa.Column("attempts", _NUMBER, nullable=False),
        sa.Column("lease_until", _NUMBER),
        sa.Column("last_error", _WORDS),
        sa.Column("dead_at", _NUMBER),
        sa.PrimaryKeyConstraint("id", name="outbox_pkey"),
    )
    op.create_index("outbox_dead", "outbox", ["tenant_id", "id"], **_where("dead_at IS NOT NULL"))
    op.create_index("outbox_due", "outbox", ["not_before", "id"], **_where("dead_at IS NULL"))
    op.create_index("outbox_tenant_id_id", "outbox", ["tenant_id", "id"])
    op.create_table(
        "idempotency",
        sa.Column("tenant_id", _WORDS, nullable=False),
        sa.Column("principal", _WORDS, nullable=False),
        sa.Column("key", _WORDS, nullable=False),
        sa.Column("request_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("status", _NUMBER),
        sa.Column("headers", sa.JSON(), nullable=False),
        sa.Column("body", sa.LargeBinary()),
        sa.Column("created_at", _NUMBER, nullable=False),
        sa.Column("expires_at", _NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "principal", "key", name="idempotency_pkey"),
    )
    op.create_index("idempotency_expires_at", "idempotency", ["expires_at"])
    op.create_table(
        "orphan_candidates",
        sa.Column("object_key", _WORDS, nullable=False),
        sa.Column("first_seen", _NUMBER, nullable=False),
        sa.Column("size", _NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("object_key", name="orphan_candidates_pkey"),
    )
