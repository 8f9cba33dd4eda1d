"""The tables of the record, the same on SQLite and PostgreSQL.

The tenant comes first in every index that a tenant's request may use, so that neither answers nor timing
tell of another's rows; what only sweeps and edges ask goes across tenants. Lists are of ready files, and
whoever asks may see some visibilities only, so the indexes of lists hold ready files alone and have
visibility second: any list is a few of these ranges, each read in order. Text is ordered by code point on
both engines.


`file_tags` and `file_search` say again what `files` knows, for finding only; `repository.index` writes them.
"""

from __future__ import annotations

from enum import StrEnum

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
    column,
    literal_column,
    table,
)
from sqlalchemy.dialects.postgresql import ARRAY, BIT, TEXT

from imgproxy.files.model import FileState, UploadState, Visibility

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
Grams = Text().with_variant(ARRAY(BigInteger), POSTGRESQL)
SIGNED = 384  # bits
Signature = Number.with_variant(BIT(SIGNED), POSTGRESQL)


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

files = Table(
    "files",
    metadata,
    Column("id", Words, primary_key=True),
    Column("tenant_id", Words, nullable=False),
    Column("collection", Words, nullable=False),
    Column("key", Words, nullable=False, unique=True),
    Column("object_key", Words, nullable=False, unique=True),
    Column("etag", Words, nullable=False),
    Column("original_name", Words, nullable=False),
    Column("mime_type", Words, nullable=False),
    Column("size", Number, nullable=False),
    Column("visibility", Words, nullable=False),
    Column("owner_type", Words, nullable=False),
    Column("owner_id", Words, nullable=False),
    Column("state", Words, nullable=False),
    Column("created_at", Number, nullable=False),
    Column("updated_at", Number, nullable=False),
    Column("row_version", Number, nullable=False),
    Column("generation", Number, nullable=False),
    Column("width", Number),
    Column("height", Number),
    Column("category", Words),
    Column("description", Words),
    Column("alt", Words),
    Column("related_entity_id", Words),
    Column("tags", JSON, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("deleted_at", Number),
    Column("purge_after", Number),
    Column("changed", Number, nullable=False),  # see repository.changes
    Column("signature", Signature),  # see repository.index
    _one_of("visibility", Visibility),
    _one_of("state", FileState),
)
facts = [each for each in files.c if each.name not in ("changed", "signature")]
"""What a file is; the rest says where it is found."""

# Not bound: an engine uses a partial index only where it can read its condition in the statement.
is_ready = files.c.state == literal_column("'ready'")
is_deleted = files.c.state == literal_column("'deleted'")


ORDERS = ("created_at", "updated_at", "original_name", "size", "mime_type")
"""What lists may be sorted by; ties are broken by id."""
FILTERS = ("owner_id", "owner_type", "collection", "mime_type", "category")
"""What lists may be filtered by, the one that says most first."""

# Every filter with every order: what was filtered by type and is large lies together by size, so that no
# other index would do. 29 of them, some 90 bytes each a file; adding a file takes 2 ms, its words included.
for order in ORDERS:
    for leading in ((), *((each,) for each in FILTERS if each != order)):
        Index(
            f"files_by_{'_'.join((*leading, order))}",
            files.c.tenant_id,
            files.c.visibility,
            *(files.c[each] for each in (*leading, order)),
            files.c.id,
            *([files.c.owner_type] if leading == ("owner_id",) else []),  # whose ids these are
            *([files.c.created_at] if not leading and order != "created_at" else []),  # for `search.walk`
            *([] if leading else [files.c.signature]),  # for searches
            sqlite_where=is_ready,
            postgresql_where=is_ready,
        )
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
    Column("created_at", Number, primary_key=True),
    Column("file_id", Words, primary_key=True),
    *(Column(each, files.c[each].type, nullable=False) for each in ORDERS[1:]),
    Index(None, "file_id"),
    *(
        Index(f"file_tags_by_{each}", "tenant_id", "visibility", "tag", each, "file_id")
        for each in ORDERS[1:]
    ),
    sqlite_with_rowid=False,
)

file_search = Table(
    "file_search",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=True),
    Column("file_id", Words, nullable=False, unique=True),
    *(Column(each, files.c[each].type) for each in ORDERS[1:]),  # on SQLite
    Column("text", Words, nullable=False),
    Column("grams", Grams),  # on PostgreSQL
)
Index(
    "file_search_grams",
    file_search.c.grams,
    postgresql_using="gin",
    postgresql_with={"fastupdate": "off"},  # or a search would read what waits to be merged, one by one
).ddl_if(dialect=POSTGRESQL)

# On SQLite a virtual table, whose rowid is `file_search.seq`; made by its migration.
file_grams = table("file_grams", column("rowid"), column("grams"))

shares = Table(
    "shares",
    metadata,
    Column("tenant_id", Words, primary_key=True),
    Column("file_id", Words, primary_key=True),
    Column("type", Words, primary_key=True),
    Column("principal_id", Words, primary_key=True),
    Column("expires_at", Number),
    Index(None, "tenant_id", "type", "principal_id", "file_id"),
    CheckConstraint("type IN ('user', 'role', 'group')", name="type"),
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
