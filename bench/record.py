"""A record of many files to measure with: the same ones each time, and what is asked of them."""

from __future__ import annotations

import itertools
import os
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg

from imgproxy.files import tables
from imgproxy.files.cursor import Sort
from imgproxy.files.database import compact_json
from imgproxy.files.ids import uuid7
from imgproxy.files.model import (
    File,
    FileId,
    FileState,
    Owner,
    TenantId,
    Upload,
    UploadId,
    UploadState,
    Visibility,
)
from imgproxy.files.principal import Kind, Principal
from imgproxy.files.repository import index, rows
from imgproxy.files.repository.reach import ListQuery
from imgproxy.image.source import Key

TENANT = TenantId("acme")
_START = 1_700_000_000_000
_BATCH = 5_000
_WORDS = (
    *("cat", "dog", "summer", "winter", "invoice", "report", "family", "beach", "mountain"),
    *("city", "night", "portrait", "draft", "final"),
)

SERVICE = Principal(TENANT, Kind.SERVICE)
ANONYMOUS = Principal(TENANT, Kind.ANONYMOUS)
FEW = Principal(TENANT, Kind.USER, user="rare")
MANY = Principal(TENANT, Kind.USER, user="u0")
STRANGER = Principal(TENANT, Kind.USER, user="nobody")

FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "visibility public": {"visibility": Visibility.PUBLIC},
    "visibility shared": {"visibility": Visibility.SHARED},
    "ownerType user": {"owner_type": "user"},
    "ownerType session": {"owner_type": "session"},
    "owner rare": {"owner_type": "user", "owner_id": "rare"},
    "owner common": {"owner_id": "u0"},
    "bucket common": {"collection": "images"},
    "bucket rare": {"collection": "backups"},
    "type common": {"mime_type": "image/jpeg"},
    "type middling": {"mime_type": "video/mp4"},
    "type none": {"mime_type": "font/woff2"},
    "category common": {"category": "pets"},
    "category rare": {"category": "once"},
    "tag common": {"tag": "red"},
    "tag rare": {"tag": "seldom"},
    "tag none": {"tag": "never"},
    "search common": {"search": "summer"},
    "search middling": {"search": "zebra"},
    "search rare": {"search": "needle"},
    "search none": {"search": "qqxq"},
    "search 1 letter": {"search": "e"},
    "search 2 letters": {"search": "zz"},
}


def _file(at: int, draw: random.Random) -> File:
    created = _START + at * 1000
    id_ = uuid7(created, draw.randbytes)
    kind = draw.choices(("image/jpeg", "image/png", "video/mp4", "application/pdf"), (70, 20, 2, 8))[0]
    word = " ".join(draw.choices(_WORDS, k=2))
    if at % 50 == 7:
        word += " zebra"
    if at % 100_000 == 13:
        word += " needle"
    owner = Owner("user", "rare" if at % 50_000 == 3 else f"u{int(draw.random() ** 3 * 5000)}")
    return File(
        id=FileId(id_),
        tenant=TENANT,
        collection={"i": "images", "v": "media", "a": "documents"}[kind[0]] if at % 20_000 else "backups",
        key=Key(f"images/{id_}/x"),
        object_key=Key(f"files/acme/{id_}/1"),
        etag=id_[-12:],
        original_name=f"{word.replace(' ', '-')}-{at}.{kind[-3:]}",
        mime_type=kind,
        # Videos are large, so that by size they all lie together: what a walk likes least.
        size=draw.randrange(10**8, 10**9) if kind[0] == "v" else draw.randrange(10**3, 10**7),
        visibility=draw.choices([*Visibility], (50, 40, 8, 2))[0],
        owner=owner if at % 500 else Owner("session", f"s{at}"),
        state=FileState.READY,
        created_at=created,
        updated_at=created + draw.randrange(10**9),
        category="once" if at % 200_000 == 5 else draw.choice((None, "pets", "fruit")),
        description=None if at % 4 else f"a {word} picture",
        tags=("seldom",) if at % 100_000 == 9 else tuple(draw.sample(("red", "green", "blue"), at % 3)),
    )


def _batches(count: int) -> Iterator[list[File]]:
    draw = random.Random(1)  # noqa: S311  the same files each time
    made = (_file(at, draw) for at in range(count))
    return iter(lambda: list(itertools.islice(made, _BATCH)), [])


_FILES = [column.name for column in tables.files.columns]
_TAGS = [column.name for column in tables.file_tags.columns]
_TEXTS = [column.name for column in tables.file_search.columns if column.name != "grams"]


def _rows(batch: list[File]) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Their rows in `files` and `file_tags`."""
    signed = [index.short_signature(index.text_of(each)) for each in batch]
    added = ({"changed": 1, "signature": each} for each in signed)
    of_files = [rows.file_row(each) | more for each, more in zip(batch, added, strict=True)]
    for row in of_files:
        row |= {name: compact_json(row[name]) for name in ("tags", "metadata")}
    of_tags = [row for each in batch for row in index.tag_rows(each)]
    return [tuple(row[name] for name in _FILES) for row in of_files], [
        tuple(row[name] for name in _TAGS) for row in of_tags
    ]


def fill_sqlite(path: Path, count: int) -> None:
    """Put files into an empty record; indexes are made at the end, which takes a tenth of the time."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("synchronous=OFF", "journal_mode=OFF", "cache_size=-400000"):
        connection.execute(f"PRAGMA {pragma}")
    indexes = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        " AND tbl_name IN ('files', 'file_tags')"
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    connection.execute("BEGIN")
    for batch in _batches(count):
        _insert(connection, batch)
    connection.execute("COMMIT")
    for _, statement in indexes:
        connection.execute(statement)
    connection.execute("INSERT INTO file_grams (file_grams) VALUES ('optimize')")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()


def _insert(connection: sqlite3.Connection, batch: list[File]) -> None:
    of_files, of_tags = _rows(batch)
    found = [index.text_row(each) for each in batch]
    of_texts = [tuple(row[name] for name in _TEXTS) for row in found]
    given = {"files": (_FILES, of_files), "file_tags": (_TAGS, of_tags), "file_search": (_TEXTS, of_texts)}
    for table, (columns, values) in given.items():
        marks = ", ".join("?" * len(columns))
        connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", values)  # noqa: S608
    grams = [(row["seq"], index.fts_of(each, row["text"])) for each, row in zip(batch, found, strict=True)]
    connection.executemany("INSERT INTO file_grams (rowid, grams) VALUES (?, ?)", grams)


async def fill_postgresql(url: str, count: int) -> None:
    """The same, by COPY."""
    connection = await asyncpg.connect(url)
    indexes = await connection.fetch(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND (indexname LIKE"
        " 'files_by%' OR indexname LIKE 'file_tags_by%' OR indexname = 'file_search_grams')"
    )
    for name, _ in indexes:
        await connection.execute(f"DROP INDEX {name}")
    for batch in _batches(count):
        of_files, of_tags = _rows(batch)
        signed = [index.signature(index.text_of(each)) for each in batch]
        of_files = [(*row[:-1], each) for row, each in zip(of_files, signed, strict=True)]
        await connection.copy_records_to_table("files", records=of_files, columns=_FILES)
        await connection.copy_records_to_table("file_tags", records=of_tags, columns=_TAGS)
        texts = [(each.id, index.text_of(each)) for each in batch]
        found = [
            (*text, sorted(index.grams(each.tenant, each.visibility, text[1])))
            for each, text in zip(batch, texts, strict=True)
        ]
        columns = ["file_id", "text", "grams"]
        await connection.copy_records_to_table("file_search", records=found, columns=columns)
    await connection.execute("SET maintenance_work_mem = '1GB'")
    for _, statement in indexes:
        await connection.execute(statement)
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


def queries() -> Iterator[tuple[str, ListQuery]]:
    """What is asked, each with its name; what is before the first colon is measured as one."""
    whole = ListQuery(SERVICE, _START, limit=100)
    for name, facts in FILTERS.items():
        for sort in Sort:
            yield f"{_group(name, sort)}: {name}, {sort}", replace(whole, sort=sort, **facts)
    for who, principal in {"anonymous": ANONYMOUS, "few": FEW, "many": MANY, "stranger": STRANGER}.items():
        for name, facts in FILTERS.items():
            yield f"other principals: {who}, {name}", replace(whole, principal=principal, **facts)
        for sort in Sort:
            yield f"other principals: {who}, {sort}", replace(whole, principal=principal, sort=sort)
    for sort in Sort:
        yield f"the 100th page: {sort}", replace(whole, page=100, sort=sort)
    yield "the 100th page: bucket common", replace(whole, page=100, collection="images")
    yield "the 100th page: anonymous, tag", replace(whole, page=100, principal=ANONYMOUS, tag="red")
    yield "any order: ascending", replace(whole, descending=False)


def upload() -> Upload:
    """One that was just issued."""
    id_ = uuid7(_START, os.urandom)
    return Upload(
        id=UploadId(id_),
        tenant=TENANT,
        collection="images",
        key=Key(f"images/{id_}/x"),
        staging_key=Key(f"staging/acme/{id_}"),
        kind="single",
        declared_name="x",
        visibility=Visibility.PUBLIC,
        owner=Owner("user", "u1"),
        state=UploadState.ISSUED,
        url_expires_at=_START,
        created_at=_START,
    )


def _group(name: str, sort: Sort) -> str:
    if name.startswith("search"):
        return "search, newest first" if sort is Sort.CREATED_AT else "search, other orders"
    return "any order" if name == "none" else "one filter, any order"
