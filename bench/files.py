"""Files: lists of 100 among a million, and how fast a record is read and an upload issued.

A secret key lists by every filter with every order, by words that many, some, few and no texts have, and by
pages far back; then anonymous and users do. Of each group the middle and the 95th of a hundred lists is told,
and the worst list by its name on standard error. With SQLite; times are of the processor, within the record
alone: no HTTP. The million takes six minutes to make, and is kept in `.bench`. `--quick` has 20,000.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

from bench.figure import Aim, Row, Run, say
from bench.pictures import kept
from bench.record import TENANT, fill_sqlite, queries, upload
from imgproxy.files.database import Database, open_database
from imgproxy.files.database_url import DatabaseUrl, SqliteUrl
from imgproxy.files.repository import files, listing, uploads

_ROUNDS = 5
_AT_ONCE = 32
_TIMES = 5_000

Clocks = Mapping[str, Callable[[], float]]


def measure(run: Run) -> Iterator[Row]:
    """A row for each group of lists, then rates."""
    yield from asyncio.run(_sqlite(run, 20_000 if run.quick else 1_000_000))


async def migrated(address: DatabaseUrl) -> None:
    """Make the tables of a record."""
    database = await open_database(address)
    await database.migrate()
    await database.close()


async def _sqlite(run: Run, count: int) -> list[Row]:
    path = kept() / f"record-{count}.db"
    if not path.exists():
        say(f"making {count} files in SQLite")
        being_made = run.scratch / "record.db"
        await migrated(SqliteUrl(being_made))
        fill_sqlite(being_made, count)
        being_made.rename(path)
    return await measured("SQLite", SqliteUrl(path), run, {"ms": time.process_time})


async def measured(engine: str, address: DatabaseUrl, run: Run, clocks: Clocks) -> list[Row]:
    """A row for each group of lists, then rates; of lists each clock tells seconds, by its unit."""
    database = await open_database(address)
    try:
        found = await _lists(database, run.rounds(_ROUNDS), clocks)
        rows = [_list_row(f"{engine}: {name}", taken) for name, taken in found.items()]
        return [*rows, *[row async for row in _rates(engine, database)]]
    finally:
        await database.close()


def _list_row(name: str, taken: Mapping[str, list[float]]) -> Row:
    values = {}
    for unit, each in taken.items():
        values |= {
            f"p50 {unit}": statistics.median(each),
            f"p95 {unit}": statistics.quantiles(each, n=20)[-1],
        }
    return Row(name, values, (Aim("p95 ms", "≤", 20),))


async def _lists(database: Database, rounds: int, clocks: Clocks) -> dict[str, dict[str, list[float]]]:
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: {unit: [] for unit in clocks})
    slowest: dict[str, tuple[float, str]] = {}
    for name, query in queries():
        group, _, which = name.partition(": ")
        await database.read(lambda c, query=query: listing.list_files(c, query))
        for _ in range(rounds):
            began = {unit: clock() for unit, clock in clocks.items()}
            await database.read(lambda c, query=query: listing.list_files(c, query))
            for unit, clock in clocks.items():
                found[group][unit].append((clock() - began[unit]) * 1000)
        slowest[group] = max(slowest.get(group, (0.0, "")), (found[group]["ms"][-1], which))
    for group, (took, which) in slowest.items():
        say(f"{group}: the slowest is {which}, {took:.0f} ms")
    return found


async def _rates(engine: str, database: Database) -> AsyncIterator[Row]:
    page = await database.read(lambda c: listing.list_files(c, next(queries())[1]))
    known = [file.id for file in page.items]
    draw = random.Random(2)  # noqa: S311

    async def get() -> None:
        id_ = draw.choice(known)
        await database.read(lambda c: files.file_by_id(c, TENANT, id_))

    async def issue() -> None:
        made = upload()
        await database.write(lambda c: uploads.insert_upload(c, made))

    for name, one, limit in (("get", get, 2_000), ("issue an upload", issue, 1_000)):
        values = await _rate(one)
        yield Row(f"{engine}: {name}", values, (Aim("/s", "≥", limit),))


async def _rate(one: Callable[[], Awaitable[None]]) -> dict[str, float]:
    left = iter(range(_TIMES))

    async def some() -> None:
        for _ in left:
            await one()

    await one()
    began, spent = time.perf_counter(), time.process_time()
    await asyncio.gather(*(some() for _ in range(_AT_ONCE)))
    spent, took = time.process_time() - spent, time.perf_counter() - began
    return {"/s": _TIMES / took, "CPU µs": spent / _TIMES * 1e6}
