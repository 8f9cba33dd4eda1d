"""The promises of `Database`, kept by every member."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest
from sqlalchemy import text

from imgproxy.errors import FileNotFound, Unavailable
from imgproxy.files.database import Connection, Database, open_database
from imgproxy.files.database_url import DatabaseUrl
from imgproxy.files.model import File, Tenant, TenantId
from imgproxy.files.repository import files, tenants
from tests.files.samples import ACME, NOW, file


def _add(name: str) -> Tenant:
    return Tenant(TenantId(name), name, NOW)


async def _names(database: Database) -> list[str]:
    return await database.read(lambda c: [*c.execute(text("SELECT id FROM tenants ORDER BY id")).scalars()])


async def test_what_is_written_is_there_when_the_write_returns(database: Database) -> None:
    for each in range(20):
        given = file()
        await database.write(lambda c, given=given: files.insert_file(c, given))
        assert await database.read(lambda c, given=given: files.file_by_id(c, ACME, given.id)), each


async def test_work_that_fails_leaves_nothing_and_its_error_comes_out(database: Database) -> None:
    def work(connection: Connection) -> None:
        tenants.insert_tenant(connection, _add("half"))
        raise FileNotFound("no")

    with pytest.raises(FileNotFound):
        await database.write(work)
    assert await _names(database) == []


async def test_one_that_fails_takes_no_neighbour_along(database: Database) -> None:
    def write(name: str) -> Callable[[Connection], None]:
        def work(connection: Connection) -> None:
            tenants.insert_tenant(connection, _add(name))
            if name.startswith("bad"):
                raise ValueError(name)

        return work

    names = [f"{kind}{each}" for each in range(20) for kind in ("good", "bad")]
    done = await asyncio.gather(*(database.write(write(name)) for name in names), return_exceptions=True)
    assert [type(each) for each in done] == [type(None), ValueError] * 20
    assert await _names(database) == sorted(f"good{each}" for each in range(20))


async def test_reading_work_cannot_write(database: Database) -> None:
    with pytest.raises(Unavailable):
        await database.read(lambda c: tenants.insert_tenant(c, _add("x")))
    assert await _names(database) == []


async def test_reading_work_sees_one_moment(database: Database) -> None:
    loop = asyncio.get_running_loop()

    def work(connection: Connection) -> tuple[int, int]:
        count = text("SELECT count(*) FROM tenants")
        before = connection.execute(count).scalar_one()
        if database.notifies:
            return before, before  # asyncpg's work runs on the loop: nobody can write in between
        write = database.write(lambda c: tenants.insert_tenant(c, _add("meanwhile")))
        asyncio.run_coroutine_threadsafe(write, loop).result()
        return before, connection.execute(count).scalar_one()

    assert await database.read(work) == (0, 0)


async def test_many_processes_may_write_the_same_record(address: DatabaseUrl) -> None:
    opened = [await open_database(address) for _ in range(4)]
    names = [f"t{each:02}" for each in range(40)]
    await asyncio.gather(
        *(
            opened[at % 4].write(lambda c, name=name: tenants.insert_tenant(c, _add(name)))
            for at, name in enumerate(names)
        )
    )
    assert await _names(opened[0]) == names
    await asyncio.gather(*(each.close() for each in opened))


async def test_who_is_cancelled_leaves_the_record_usable(database: Database) -> None:
    waiting = [
        asyncio.ensure_future(database.write(lambda c, n=n: tenants.insert_tenant(c, _add(f"c{n}"))))
        for n in range(10)
    ]
    await asyncio.sleep(0)
    for each in waiting[::2]:
        each.cancel()
    done = await asyncio.gather(*waiting, return_exceptions=True)
    kept = [f"c{n}" for n, each in enumerate(done) if each is None]
    assert {*kept} <= {*await _names(database)}
    await database.write(lambda c: tenants.insert_tenant(c, _add("after")))


async def test_a_closed_record_says_so_and_may_be_closed_again(address: DatabaseUrl) -> None:
    database = await open_database(address)
    await database.check()
    await database.close()
    await database.close()
    with pytest.raises(Unavailable):
        await database.read(lambda c: None)


async def test_closing_leaves_no_thread(address: DatabaseUrl) -> None:
    before = threading.active_count()
    database = await open_database(address)
    found: File | None = await database.read(lambda c: files.file_by_key(c, file().key))
    assert found is None
    await database.write(lambda c: None)
    await database.close()
    assert [each.name for each in threading.enumerate() if each.name.startswith("record")] == []
    assert threading.active_count() <= before + 1  # the loop's own executor
