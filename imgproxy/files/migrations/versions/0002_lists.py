"""Lists by eight indexes, and search by trigrams.

It removes tables and columns that servers of the version before write to: stop all of them before.
"""

# ruff: noqa: S608  statements are made of constants; values are parameters

from __future__ import annotations

import hashlib
import unicodedata
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_WORDS = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_BATCH = 1_000
_LISTED = ("seq", "owner_id", "collection", "category", "mime_type", "updated_at", "original_name", "size")
_KEPT = (
    "id, tenant_id, collection, key, object_key, etag, original_name, mime_type, size, visibility, "
    "owner_type, owner_id, state, created_at, updated_at, row_version, generation, width, height, category, "
    "description, alt, related_entity_id, tags, metadata, deleted_at, purge_after, changed"
)


def upgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    for name in ("file_search", "file_tags", *([] if is_postgresql else ["file_grams"])):
        op.drop_table(name)
    _copy_files()
    _fold_texts()
    _copy_shares()
    _create_tags()
    _index_files()
    if is_postgresql:
        _search_postgresql()
    else:
        _search_sqlite()


def _copy_files() -> None:
    """Give each file its place in time; those of one millisecond are numbered."""
    op.execute("CREATE TABLE files_before AS SELECT * FROM files")
    op.drop_table("files")
    op.create_table(
        "files",
        sa.Column("seq", _NUMBER, autoincrement=False, nullable=False),
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
        sa.Column("tenant_code", _WORDS, nullable=False),
        sa.Column("search", _WORDS, nullable=False),
        sa.CheckConstraint("state IN ('ready', 'deleted', 'purged')", name="files_state_check"),
        sa.CheckConstraint(
            "visibility IN ('public', 'private', 'protected', 'shared')", name="files_visibility_check"
        ),
        sa.PrimaryKeyConstraint("seq", name="files_pkey"),
        sa.UniqueConstraint("id", name="files_id_key"),
        sa.UniqueConstraint("key", name="files_key_key"),
        sa.UniqueConstraint("object_key", name="files_object_key_key"),
    )
    op.execute(
        f"INSERT INTO files (seq, {_KEPT}, tenant_code, search) "
        "SELECT (created_at << 21) + row_number() OVER (PARTITION BY created_at ORDER BY id) - 1, "
        f"{_KEPT}, '', '' FROM files_before"
    )
    op.drop_table("files_before")


def _fold_texts() -> None:
    """Fill the columns that only Python can compute."""
    connection, after = op.get_bind(), -1
    page = sa.text(
        "SELECT seq, tenant_id, original_name, description, alt FROM files "
        "WHERE seq > :after ORDER BY seq LIMIT :limit"
    )
    change = sa.text("UPDATE files SET tenant_code = :code, search = :search WHERE seq = :seq")
    while found := connection.execute(page, {"after": after, "limit": _BATCH}).all():
        connection.execute(change, [_folded(row) for row in found])
        after = found[-1].seq


def _folded(row: sa.Row[Any]) -> dict[str, Any]:
    joined = "\n".join(each for each in (row.original_name, row.description, row.alt) if each)
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", joined).casefold())
    hashed = hashlib.blake2b(row.tenant_id.encode("utf-8", "replace"), digest_size=8).digest()
    number, code = int.from_bytes(hashed), ""
    for _ in range(3):
        number, letter = divmod(number, 432)
        code += chr(0x100 + letter)
    return {"seq": row.seq, "code": code, "search": folded}


def _copy_shares() -> None:
    op.execute(
        "CREATE TABLE shares_before AS "
        "SELECT shares.*, files.seq FROM shares JOIN files ON files.id = shares.file_id"
    )
    op.drop_table("shares")
    op.create_table(
        "shares",
        sa.Column("tenant_id", _WORDS, nullable=False),
        sa.Column("type", _WORDS, nullable=False),
        sa.Column("principal_id", _WORDS, nullable=False),
        sa.Column("seq", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("expires_at", _NUMBER),
        sa.CheckConstraint("type IN ('user', 'role', 'group')", name="shares_type_check"),
        sa.PrimaryKeyConstraint("tenant_id", "type", "principal_id", "seq", name="shares_pkey"),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO shares (tenant_id, type, principal_id, seq, expires_at) "
        "SELECT tenant_id, type, principal_id, seq, expires_at FROM shares_before"
    )
    op.drop_table("shares_before")
    op.create_index("shares_seq", "shares", ["seq"])


def _create_tags() -> None:
    op.create_table(
        "file_tags",
        sa.Column("tenant_id", _WORDS, nullable=False),
        sa.Column("visibility", _WORDS, nullable=False),
        sa.Column("tag", _WORDS, nullable=False),
        sa.Column("seq", _NUMBER, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "visibility", "tag", "seq", name="file_tags_pkey"),
        sqlite_with_rowid=False,
    )
    op.create_index("file_tags_seq", "file_tags", ["seq"])


def _index_files() -> None:
    for name in _LISTED:
        columns = ["tenant_id", "visibility", name, "owner_type" if name == "seq" else "seq"]
        _create_index(f"files_by_{name}", columns, where="state = 'ready'")
    _create_index("files_to_purge", ["purge_after", "id"], where="state = 'deleted'")
    op.create_index("files_changed", "files", ["changed"])


def _create_index(name: str, columns: list[str], *, where: str) -> None:
    op.create_index(name, "files", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _search_postgresql() -> None:
    op.execute(
        "CREATE OR REPLACE FUNCTION trigrams(code text, words text) RETURNS text[] "
        "LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS "
        "$$ SELECT coalesce(array_agg(DISTINCT code || substr(words, at, 3)), '{}') "
        "FROM generate_series(1, length(words) - 2) AS at $$"
    )
    op.execute(
        "CREATE INDEX files_trigrams ON files USING gin (trigrams(tenant_code, search)) "
        "WITH (fastupdate = off) WHERE state = 'ready'"
    )
    tags = (
        "INSERT INTO file_tags SELECT DISTINCT file.tenant_id, file.visibility, tag, file.seq "
        "FROM {file} CROSS JOIN json_array_elements_text(file.tags) AS tag WHERE file.state = 'ready'"
    )
    op.execute(tags.format(file="files AS file"))
    op.execute(
        "CREATE OR REPLACE FUNCTION copy_tags() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF TG_OP <> 'INSERT' THEN DELETE FROM file_tags WHERE seq = old.seq; END IF; "
        f"IF TG_OP <> 'DELETE' THEN {tags.format(file='(SELECT new.*) AS file')}; END IF; "
        "RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER files_added AFTER INSERT OR DELETE ON files FOR EACH ROW EXECUTE FUNCTION copy_tags()"
    )
    op.execute(
        "CREATE TRIGGER files_changed AFTER UPDATE ON files FOR EACH ROW WHEN "
        "((old.state, old.visibility, old.tags::text) IS DISTINCT FROM "
        "(new.state, new.visibility, new.tags::text)) EXECUTE FUNCTION copy_tags()"
    )


def _search_sqlite() -> None:
    """Without content FTS5 does not keep the text again; to remove an entry it must be given the old one."""
    op.execute(
        "CREATE VIRTUAL TABLE files_fts USING fts5(tenant_code, search, content='', columnsize=0, "
        "tokenize='trigram case_sensitive 1')"
    )
    tags = (
        "INSERT INTO file_tags SELECT DISTINCT {file}.tenant_id, {file}.visibility, tag.value, {file}.seq "
        "FROM {source}json_each({file}.tags) AS tag WHERE {file}.state = 'ready';"
    )
    text = (
        "INSERT INTO files_fts ({command}rowid, tenant_code, search) "
        "SELECT {value}{file}.seq, {file}.tenant_code, {file}.search {source}WHERE {file}.state = 'ready';"
    )
    op.execute(tags.format(file="files", source="files, "))
    op.execute(text.format(file="files", source="FROM files ", command="", value=""))
    add_tags, remove_tags = tags.format(file="new", source=""), "DELETE FROM file_tags WHERE seq = old.seq;"
    add_text = text.format(file="new", source="", command="", value="")
    remove_text = text.format(file="old", source="", command="files_fts, ", value="'delete', ")
    for name, event, when, work in (
        ("files_added", "INSERT", "true", add_tags + add_text),
        ("files_removed", "DELETE", "true", remove_tags + remove_text),
        (
            "files_tags_changed",
            "UPDATE OF state, visibility, tags",
            "(old.state, old.visibility, old.tags) IS NOT (new.state, new.visibility, new.tags)",
            remove_tags + add_tags,
        ),
        (
            "files_text_changed",
            "UPDATE OF state, search",
            "(old.state, old.search) IS NOT (new.state, new.search)",
            remove_text + add_text,
        ),
    ):
        op.execute(f"CREATE TRIGGER {name} AFTER {event} ON files WHEN {when} BEGIN {work} END")
