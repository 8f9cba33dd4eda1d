"""Database of many files to measure with: the same ones each time, and lists of them."""

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
from imgproxy.files.fields import file_row
from imgproxy.files.id_generator import uuid7
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
from imgproxy.files.repository.lists import ListQuery
from imgproxy.files.repository.search_columns import search_columns
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
USER = Principal(TENANT, Kind.USER, user="u7")
SHARED_WITH = Principal(TENANT, Kind.USER, user="u0", role="staff")
SMALL = Principal(TenantId("small-3"), Kind.SERVICE)
SMALL_TENANTS, SMALL_FILES = 50, 2_000

ONE_FILTER: dict[str, dict[str, Any]] = {
    "none": {},
    "visibility": {"visibility": Visibility.SHARED},
    "owner rare": {"owner_type": "user", "owner_id": "rare"},
    "owner common": {"owner_id": "u0"},
    "bucket common": {"collection": "images"},
    "bucket rare": {"collection": "backups"},
    "type common": {"mime_type": "image/jpeg"},
    "type middling": {"mime_type": "video/mp4"},
    "category common": {"category": "pets"},
    "category rare": {"category": "once"},
    "tag common": {"tag": "red"},
    "tag rare": {"tag": "seldom"},
    "tag none": {"tag": "never"},
}
SEARCHES = {
    "common": "summer",
    "middling": "zebra",
    "rare": "needle",
    "none": "qqxq",
    "two words": "cat-dog",
    "three characters": "ter",
}
TWO_FILTERS: dict[str, dict[str, Any]] = {
    "both common": {"mime_type": "image/png", "category": "pets"},
    "one rare": {"mime_type": "image/jpeg", "collection": "backups"},
    "tag and type": {"tag": "green", "mime_type": "application/pdf"},
    "owner and tag": {"owner_id": "u0", "tag": "red"},
}


def _file(at: int, draw: random.Random, tenant: TenantId = TENANT, later: int = 0) -> File:
    created = _START + at * 1000 + later  # no two of one millisecond, which `insert_file` sets apart
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
        tenant=tenant,
        collection={"i": "images", "v": "media", "a": "documents"}[kind[0]] if at % 20_000 else "backups",
        key=Key(f"images/{id_}/x"),
        object_key=Key(f"files/acme/{id_}/1"),
        etag=id_[-12:],
        original_name=f"{word.replace(' ', '-')}-{at}.{kind[-3:]}",
        mime_type=kind,
        # Videos are large, so that by size they all lie together: the slowest case of a followed order.
        size=draw.randrange(10**8, 10**9) if kind[0] == "v" else draw.randrange(10**3, 10**7),
        visibility=draw.choices([*Visibility], (80, 10, 8, 2))[0],
        owner=owner if at % 500 else Owner("session", f"s{at}"),
        state=FileState.READY,
        created_at=created,
        updated_at=created + draw.randrange(10**9),
        category="once" if at % 200_000 == 5 else draw.choice((None, "pets", "fruit")),
        description=None if at % 4 else f"a {word} picture",
        tags=("seldom",) if at % 100_000 == 9 else tuple(draw.sample(("red", "green", "blue"), at % 3)),
    )


def _batches(count: int) -> Iterator[list[File]]:
    """Generate the files of one large tenant, then of small ones."""
    draw = random.Random(1)  # noqa: S311  the same files each time
    large = (_file(at, draw) for at in range(count))
    small = (
        _file(at, draw, TenantId(f"small-{tenant}"), later=tenant + 1)
        for tenant in range(SMALL_TENANTS)
        for at in range(SMALL_FILES)
    )
    made = itertools.chain(large, small)
    return iter(lambda: list(itertools.islice(made, _BATCH)), [])


_FILES = [column.name for column in tables.files.columns]
_SHARES = [column.name for column in tables.shares.columns]


def _rows(batch: list[File]) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Return the rows of `files` and `shares`: every second file that is shared is shared with one role."""
    of_files, of_shares = [], []
    for each in batch:
        row = file_row(each) | search_columns(each) | {"changed": 1}
        row |= {name: compact_json(row[name]) for name in ("tags", "metadata")}
        of_files.append(tuple(row[name] for name in _FILES))
        if each.visibility is Visibility.SHARED and each.size % 2:
            share = {"tenant_id": each.tenant, "type": "role", "principal_id": "staff", "seq": row["seq"]}
            of_shares.append(tuple(share.get(name) for name in _SHARES))
    return of_files, of_shares


def fill_sqlite(path: Path, count: int) -> None:
    """Fill an empty database; its triggers copy text and tags."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("synchronous=OFF", "journal_mode=OFF", "cache_size=-400000"):
        connection.execute(f"PRAGMA {pragma}")
    indexes = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND name LIKE 'files_by%'"
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    connection.execute("BEGIN")
    for batch in _batches(count):
        for table, columns, values in zip(("files", "shares"), (_FILES, _SHARES), _rows(batch), strict=True):
            marks = ", ".join("?" * len(columns))
            connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", values)  # noqa: S608
    connection.execute("COMMIT")
    for _, statement in indexes:
        connection.execute(statement)
    connection.execute("INSERT INTO files_fts (files_fts) VALUES ('optimize')")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()


async def fill_postgresql(url: str, count: int) -> None:
    """Fill an empty database by COPY."""
    connection = await asyncpg.connect(url)
    indexes = await connection.fetch(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND (indexname LIKE"
        " 'files_by%' OR indexname = 'files_trigrams')"
    )
    for name, _ in indexes:
        await connection.execute(f"DROP INDEX {name}")
    for batch in _batches(count):
        for table, columns, values in zip(("files", "shares"), (_FILES, _SHARES), _rows(batch), strict=True):
            await connection.copy_records_to_table(table, records=values, columns=columns)
    await connection.execute("SET maintenance_work_mem = '1GB'")
    for _, statement in indexes:
        await connection.execute(statement)
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


LIMITS = {
    "newest, one filter or none": 20,
    "newest, one filter or none, user with many shares": 60,
    "by name or size": 20,
    "by name or size, user with many shares": 100,
    "search": 75,
    "search and filter, two filters, filter by name or size": 150,
    "two filters or search, by name or size": 200,
    "small tenant": 20,
}
"""Greatest p95 of each group of lists, in ms."""


def queries() -> Iterator[tuple[str, str, ListQuery]]:
    """Generate lists, each with its group and name."""
    for who, principal in {
        "service": SERVICE,
        "anonymous": ANONYMOUS,
        "user": USER,
        "many": SHARED_WITH,
    }.items():
        many = ", user with many shares" if principal is SHARED_WITH else ""
        whole = ListQuery(principal, _START, limit=100)
        may_filter = {
            name: filters
            for name, filters in (ONE_FILTER | TWO_FILTERS).items()
            if principal is SERVICE or "owner_id" not in filters
        }
        for name, filters in may_filter.items():
            here = replace(whole, **filters)
            group = "search and filter, two filters, filter by name or size"
            simple = name in ONE_FILTER
            yield f"newest, one filter or none{many}" if simple else group, f"{who}, {name}", here
            for sort in (Sort.ORIGINAL_NAME, Sort.SIZE):
                other = group if simple else "two filters or search, by name or size"
                yield (
                    f"by name or size{many}" if name == "none" else other,
                    f"{who}, {name}, {sort}",
                    replace(here, sort=sort),
                )
            if simple and name != "none":
                yield group, f"{who}, {name}, search", replace(here, search="summer")
                yield group, f"{who}, {name}, search middling", replace(here, search="zebra")
        for name, words in SEARCHES.items():
            yield "search", f"{who}, {name}", replace(whole, search=words)
            other = "two filters or search, by name or size"
            yield other, f"{who}, search {name}", replace(whole, search=words, sort=Sort.ORIGINAL_NAME)
    small = ListQuery(SMALL, _START, limit=100)
    for words in SEARCHES.values():
        yield "small tenant", f"search {words}", replace(small, search=words)


def new_file(at: int) -> File:
    """Return a file that the database does not have yet."""
    return _file(2_000_000 + at, random.Random(at))  # noqa: S311


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
