"""Tables of the database, the same on SQLite and PostgreSQL.

The tenant comes first in every index that a tenant's request may use, so that neither responses nor timing
depend on another tenant's rows; sweeps and edges read across tenants. Lists are of ready files of some
visibilities, so their indexes hold ready files alone and have visibility second. Text is ordered by code
point on both engines.

Triggers copy tags into `file_tags` and, on SQLite, text into the FTS5 table `files_fts`; migration 0002 has
them.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    func,
    literal_column,
)
from sqlalchemy.dialects.postgresql import TEXT

from imgproxy.files.fields import FIELDS, FileField
from imgproxy.files.model import UploadState, Visibility

metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    }
)

POSTGRESQL = "postgresql"
"""The engine, as SQLAlchemy calls it."""

Words = Text().with_variant(TEXT(collation="C"), POSTGRESQL)
Number = BigInteger().with_variant(Integer(), "sqlite")  # 64 bits there too, and may be a rowid


def _one_of(column: str, words: type[StrEnum]) -> CheckConstraint:
    listed = ", ".join(f"'{word.value}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


tenants = Table(
    "tenants",
    metadata,
    Column("id", Words, primary_key=True),
    Column("name", Words, nullable=False),
    Column("created_at", Number, nullable=False),
    Column("disabled_at", Number),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Words, primary_key=True),
    Column("tenant_id", Words, ForeignKey("tenants.id"), nullable=False),
    Column("kind", Words, nullable=False),
    Column("sha256", LargeBinary, nullable=False, unique=True),
    Column("created_at", Number, nullable=False),
    Column("expires_at", Number),
    Column("revoked_at", Number),
    CheckConstraint("kind IN ('pk', 'sk')", name="kind"),
    Index(None, "tenant_id", "id"),
)

collections = Table(
    "collections",
    metadata,
    Column("tenant_id", Words, primary_key=True),
    Column("name", Words, primary_key=True),
    Column("default_visibility", Words, nullable=False),
    Column("min_size", Number, nullable=False),
    Column("max_size", Number, nullable=False),
    Column("types", JSON, nullable=False),
    Column("retention", Number, nullable=False),
    _one_of("default_visibility", Visibility),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", Words, primary_key=True),
    Column("tenant_id", Words, nullable=False),
    Column("collection", Words, nullable=False),
    Column("key", Words, nullable=False, unique=True),
    Column("staging_key", Words, nullable=False, unique=True),
    Column("kind", Words, nullable=False),
    Column("declared_name", Words, nullable=False),
    Column("declared_type", Words),
    Column("declared_size", Number),
    Column("category", Words),
    Column("visibility", Words, nullable=False),
    Column("owner_type", Words, nullable=False),
    Column("owner_id", Words, nullable=False),
    Column("state", Words, nullable=False),
    Column("storage_upload", Words),
    Column("file_id", Words),
    Column("url_expires_at", Number, nullable=False),
    Column("created_at", Number, nullable=False),
    Column("claimed_at", Number),
    _one_of("state", UploadState),
)
# What a sweep looks for, and so small as the work that is under way.
Index(
    "uploads_open",
    uploads.c.url_expires_at,
    uploads.c.id,
    sqlite_where=(
        uploads_open := uploads.c.state.in_([literal_column("'issued'"), literal_column("'completing'")])
    ),
    postgresql_where=uploads_open,
)


def _is_enum(declared: FileField) -> bool:
    return isinstance(declared.type, type) and issubclass(declared.type, StrEnum)


def _file_columns() -> Iterator[Column[Any]]:
    """Yield the columns of the declared fields of a file."""
    for each in FIELDS:
        kind = JSON if each.is_json else Number if each.type is int else Words
        for name in each.columns:
            yield Column(name, kind, nullable=each.nullable, unique=each.rules.unique or None)


files = Table(
    "files",
    metadata,
    *_file_columns(),
    Column("changed", Number, nullable=False),  # see repository.changes
    # These three are made by repository.search_columns.
    Column("seq", Number, primary_key=True, autoincrement=False),
    Column("tenant_code", Words, nullable=False),
    Column("search", Words, nullable=False),
    *(_one_of(each.name, each.type) for each in FIELDS if _is_enum(each)),
)
facts = [files.c[name] for each in FIELDS for name in each.columns]
"""Columns of a `File`; the others are for finding it."""

# Not bound: an engine uses a partial index only where it can read its condition in the statement.
is_ready = files.c.state == literal_column("'ready'")
is_deleted = files.c.state == literal_column("'deleted'")


LISTED = ("seq", "owner_id", "collection", "category", "mime_type", "updated_at", "original_name", "size")
"""Columns that lists are filtered or sorted by."""

for listed in LISTED:
    Index(
        f"files_by_{listed}",
        files.c.tenant_id,
        files.c.visibility,
        files.c[listed],
        # A list by the type of owner reads the newest files' index alone.
        files.c.owner_type if listed == "seq" else files.c.seq,
        sqlite_where=is_ready,
        postgresql_where=is_ready,
    )
Index(
    "files_trigrams",
    func.trigrams(files.c.tenant_code, files.c.search),
    postgresql_using="gin",
    postgresql_with={
        "fastupdate": "off"
    },  # or a search would read entries that wait to be merged, one by one
    postgresql_where=is_ready,
).ddl_if(dialect=POSTGRESQL)
Index(None, files.c.changed)
Index(
    "files_to_purge",
    files.c.purge_after,
    files.c.id,
    sqlite_where=is_deleted,
    postgresql_where=is_deleted,
)

file_tags = Table(
    "file_tags",
    metadata,
    Column("tenant_id", Words, primary_key=True),
    Column("visibility", Words, primary_key=True),
    Column("tag", Words, primary_key=True),
    Column("seq", Number, primary_key=True, autoincrement=False),
    Index(None, "seq"),
    sqlite_with_rowid=False,
)

shares = Table(
    "shares",
    metadata,
    Column("tenant_id", Words, primary_key=True),
    Column("type", Words, primary_key=True),
    Column("principal_id", Words, primary_key=True),
    Column("seq", Number, primary_key=True, autoincrement=False),
    Column("expires_at", Number),
    Index(None, "seq"),
    CheckConstraint("type IN ('user', 'role', 'group')", name="type"),
    sqlite_with_rowid=False,
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Words, primary_key=True),
    Column("tenant_id", Words, nullable=False),
    Column("kind", Words, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("not_before", Number, nullable=False),
    Column("created_at", Number, nullable=False),
    Column("attempts", Number, nullable=False),
    Column("lease_until", Number),
    Column("last_error", Words),
    Column("dead_at", Number),
    Index(None, "tenant_id", "id"),
)
is_alive = outbox.c.dead_at.is_(None)
Index("outbox_due", outbox.c.not_before, outbox.c.id, sqlite_where=is_alive, postgresql_where=is_alive)
Index("outbox_dead", outbox.c.tenant_id, outbox.c.id, sqlite_where=~is_alive, postgresql_where=~is_alive)

idempotency = Table(
    "idempotency",
    metadata,
    Column("tenant_id", Words, primary_key=True),
    Column("principal", Words, primary_key=True),
    Column("key", Words, primary_key=True),
    Column("request_sha256", LargeBinary, nullable=False),
    Column("status", Number),
    Column("headers", JSON, nullable=False),
    Column("body", LargeBinary),
    Column("created_at", Number, nullable=False),
    Column("expires_at", Number, nullable=False),
    Index(None, "expires_at"),
)

orphan_candidates = Table(
    "orphan_candidates",
    metadata,
    Column("object_key", Words, primary_key=True),
    Column("first_seen", Number, nullable=False),
    Column("size", Number, nullable=False),
)
