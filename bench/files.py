"""How long lists take among a million files, and how many reads and writes of the record fit into a second.

    python -m bench.files [--rows 1000000] [--keep FOLDER] [--engine sqlite|postgresql] [--rounds 20]

Filters and sorts are taken one by one, with rare and common values, values that nothing has, deep pages, and
principals that see much and little. What is printed is p50 and p95 in ms per list of 100, in one process.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select, text

from imgproxy.files import tables
from imgproxy.files.address import DatabaseAddress, PostgresAddress, SqliteAddress
from imgproxy.files.cursor import Sort
from imgproxy.files.database import Connection, Database, open_database
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
from imgproxy.files.repository import files, index, listing, rows, uploads
from imgproxy.files.repository.reach import ListQuery
from imgproxy.image.source import Key

_TENANT = TenantId("acme")
_START = 1_700_000_000_000
_BATCH = 2_000
_WORDS = (
    *("cat", "dog", "summer", "winter", "invoice", "report", "family", "beach", "mountain"),
    *("city", "night", "portrait", "draft", "final"),
)

SERVICE = Principal(_TENANT, Kind.SERVICE)
ANONYMOUS = Principal(_TENANT, Kind.ANONYMOUS)
FEW = Principal(_TENANT, Kind.USER, user="rare")
MANY = Principal(_TENANT, Kind.USER, user="u0")
STRANGER = Principal(_TENANT, Kind.USER, user="nobody")

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
        tenant=_TENANT,
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


async def fill(database: Database, count: int) -> None:
    """Make the files, as many to a transaction as one may have."""
    draw = random.Random(1)  # noqa: S311  the same files each time
    made = (_file(at, draw) for at in range(count))
    began = time.perf_counter()
    for batch in iter(lambda: list(itertools.islice(made, _BATCH)), []):
        await database.write(partial(_insert, batch=batch))
    print(f"  {count} files made in {time.perf_counter() - began:.0f} s", flush=True)


def _insert(connection: Connection, *, batch: list[File]) -> None:
    """What `insert_file` does, for many at once."""
    connection.execute(insert(tables.files), [rows.file_row(each) | {"changed": 1} for each in batch])
    tags = [(each, tag) for each in batch for tag in each.tags]
    same = ("tenant_id", "visibility", "created_at")
    connection.execute(
        insert(tables.file_tags),
        [
            {name: rows.file_row(of)[name] for name in same} | {"tag": tag, "file_id": of.id}
            for of, tag in tags
        ],
    )
    found = [(each, index.text_of(each)) for each in batch]
    grams = [index.grams(each.tenant, each.visibility, words) for each, words in found]
    on_sqlite = connection.dialect.name == "sqlite"
    first = connection.execute(select(func.coalesce(func.max(tables.file_search.c.seq), 0) + 1)).scalar_one()
    texts = [
        {"seq": first + at, "file_id": each.id, "text": words}
        | ({} if on_sqlite else {"grams": [*grams[at]]})
        for at, (each, words) in enumerate(found)
    ]
    connection.execute(insert(tables.file_search), texts)
    if on_sqlite:
        connection.execute(
            text("INSERT INTO file_grams (rowid, grams) VALUES (:seq, :grams)"),
            [{"seq": first + at, "grams": index.fts(each)} for at, each in enumerate(grams)],
        )


def queries() -> Iterator[tuple[str, ListQuery]]:
    """What is asked, each with its name."""
    whole = ListQuery(SERVICE, _START, limit=100)
    for name, facts in FILTERS.items():
        for sort in Sort:
            yield f"service, {name}, {sort}", replace(whole, sort=sort, **facts)
    for who, principal in {"anonymous": ANONYMOUS, "few": FEW, "many": MANY, "stranger": STRANGER}.items():
        for name, facts in FILTERS.items():
            yield f"{who}, {name}", replace(whole, principal=principal, **facts)
        for sort in Sort:
            yield f"{who}, none, {sort}", replace(whole, principal=principal, sort=sort)
    for sort in Sort:
        yield f"page 100, {sort}", replace(whole, page=100, sort=sort)
    yield "page 100, bucket common", replace(whole, page=100, collection="images")
    yield "page 100, anonymous, tag", replace(whole, page=100, principal=ANONYMOUS, tag="red")
    yield "ascending", replace(whole, descending=False)


async def lists(database: Database, rounds: int) -> None:
    """Print what each list takes, slowest first."""
    found = []
    for name, query in queries():
        taken = []
        for _ in range(rounds):
            began = time.perf_counter()
            page = await database.read(lambda c, query=query: listing.list_files(c, query))
            taken.append((time.perf_counter() - began) * 1000)
        p95 = statistics.quantiles(taken, n=20)[-1] if rounds > 1 else taken[0]
        found.append((p95, statistics.median(taken), name, page.total))
    for p95, p50, name, total in sorted(found, reverse=True):
        print(f"  {p50:8.1f} {p95:8.1f} ms  {name} ({total})")


async def rates(database: Database, seconds: float = 3.0) -> None:
    """Print how many files are got and uploads issued in a second, 32 asked for at once."""
    known = [each.id for each in await database.read(_some)]
    draw = random.Random(2)  # noqa: S311

    async def get() -> None:
        id_ = FileId(draw.choice(known))
        await database.read(lambda c: files.file_by_id(c, _TENANT, id_))

    async def presign() -> None:
        upload = _upload()
        await database.write(lambda c: uploads.insert_upload(c, upload))

    for name, one in {"get": get, "presign": presign}.items():
        end = time.perf_counter() + seconds

        async def repeat() -> int:
            count = 0
            while time.perf_counter() < end:  # noqa: B023
                await one()  # noqa: B023
                count += 1
            return count

        done = sum(await asyncio.gather(*(repeat() for _ in range(32))))
        print(f"  {name}: {done / seconds:.0f} /s", flush=True)


def _some(connection: Connection) -> tuple[File, ...]:
    return listing.list_files(connection, ListQuery(SERVICE, _START, limit=100)).items


def _upload() -> Upload:
    id_ = uuid7(_START, os.urandom)
    return Upload(
        id=UploadId(id_),
        tenant=_TENANT,
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


@contextmanager
def _address(engine: str, folder: Path) -> Iterator[DatabaseAddress]:
    if engine == "sqlite":
        yield SqliteAddress(folder / "record.db")
        return
    from tests.postgres import server

    with server("shared_buffers=1GB", "max_wal_size=8GB") as it, it.database() as name:
        yield PostgresAddress(it.url(name))


async def measure(engine: str, *, count: int, rounds: int, folder: Path) -> None:
    """Make the files unless the folder has them, and print what was seen."""
    print(f"{engine}, {count} files", flush=True)
    with _address(engine, folder) as address:
        database = await open_database(address)
        await database.migrate()
        if not await database.read(_some):
            await fill(database, count)
        await lists(database, rounds)
        await rates(database)
        await database.close()


def main() -> None:
    """Measure both engines, or the one that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--keep", type=Path, help="where to leave SQLite's file for the next time")
    parser.add_argument("--engine", choices=["sqlite", "postgresql"])
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = asked.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for engine in [asked.engine] if asked.engine else ["sqlite", "postgresql"]:
            asyncio.run(measure(engine, count=asked.rows, rounds=asked.rounds, folder=folder))


if __name__ == "__main__":
    main()
