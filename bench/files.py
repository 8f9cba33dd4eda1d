"""Files: lists of 100 among a million, and rates of reads and inserts.

A secret key, an anonymous client, a user, and a user with 9,000 files shared by role list by filters, orders
and searches; fifty small tenants stand beside. Each group has p50 and p95 against its limit; the worst list
is named on standard error, and so is a list that ended as 422. With SQLite; times are of the processor,
within the database alone: no HTTP. It is kept in `.bench`. `--quick` has 20,000 files.
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
from bench.record import LIMITS, TENANT, fill_sqlite, new_file, queries, upload
from imgproxy.errors import ListTooBroad
from imgproxy.files.database import Connection, Database, open_database
from imgproxy.files.database_url import DatabaseUrl, SqliteUrl
from imgproxy.files.repository import files, lists, uploads
from imgproxy.files.repository.lists import ListQuery

_ROUNDS = 5
_AT_ONCE = 32
_TIMES = 5_000
_INSERTED = 1_000

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
        rows = [_list_row(engine, group, taken) for group, taken in found.items()]
        return [*rows, *[row async for row in _rates(engine, database)]]
    finally:
        await database.close()


def _list_row(engine: str, group: str, taken: Mapping[str, list[float]]) -> Row:
    values = {}
    for unit, each in taken.items():
        values |= {
            f"p50 {unit}": statistics.median(each),
            f"p95 {unit}": statistics.quantiles(each, n=20)[-1],
        }
    return Row(f"{engine}: {group}", values, (Aim("p95 ms", "≤", LIMITS[group]),))


async def _lists(database: Database, rounds: int, clocks: Clocks) -> dict[str, dict[str, list[float]]]:
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: {unit: [] for unit in clocks})
    slowest: dict[str, tuple[float, str]] = {}
    for group, name, query in queries():

        async def one(query: ListQuery = query) -> None:
            await database.read(lambda connection: lists.list_files(connection, query))

        try:
            await one()
            for _ in range(rounds):
                began = {unit: clock() for unit, clock in clocks.items()}
                await one()
                for unit, clock in clocks.items():
                    found[group][unit].append((clock() - began[unit]) * 1000)
        except ListTooBroad:
            say(f"{group}: {name} is too broad")
            for each in found[group].values():
                each.append(500.0)
            continue
        slowest[group] = max(slowest.get(group, (0.0, "")), (found[group]["ms"][-1], name))
    for group, (took, name) in slowest.items():
        say(f"{group}: the slowest is {name}, {took:.0f} ms")
    return found


async def _rates(engine: str, database: Database) -> AsyncIterator[Row]:
    page = await database.read(lambda c: lists.list_files(c, next(queries())[2]))
    known = [file.id for file in page.items]
    draw = random.Random(2)  # noqa: S311

    async def get() -> None:
        id_ = draw.choice(known)
        await database.read(lambda c: files.file_by_id(c, TENANT, id_))

    async def issue() -> None:
        made = upload()
        await database.write(lambda c: uploads.insert_upload(c, made))

    for name, one, limit in (("get", get, 1_500), ("issue an upload", issue, 1_000)):
        values = await _rate(one)
        yield Row(f"{engine}: {name}", values, (Aim("/s", "≥", limit),))
    yield Row(f"{engine}: insert a file", await database.write(_inserted), (Aim("mean ms", "≤", 1),))


def _inserted(connection: Connection) -> dict[str, float]:
    """Insert files, each with all its index entries, and undo it."""
    made = [new_file(at) for at in range(_INSERTED)]
    with connection.begin_nested() as undone:
        began = time.perf_counter()
        for each in made:
            files.insert_file(connection, each)
        took = time.perf_counter() - began
        undone.rollback()
    return {"mean ms": took / _INSERTED * 1000}


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
