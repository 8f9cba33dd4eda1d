"""A record in a file: what goes wrong with the file is said as such, and what we asked for is not."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError, ProgrammingError

from imgproxy.errors import Unavailable
from imgproxy.files.database import Connection, DatabaseFault
from imgproxy.files.database.sqlite import SqliteDatabase, translated

COUNT = text("SELECT count(*) FROM things")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "folder" / "record.db"


@pytest.fixture
async def record(path: Path) -> AsyncIterator[SqliteDatabase]:
    opened = SqliteDatabase(path)
    await opened.write(lambda c: c.execute(text("CREATE TABLE things (id INTEGER PRIMARY KEY)")))
    yield opened
    await opened.close()


def add(connection: Connection) -> None:
    connection.execute(text("INSERT INTO things DEFAULT VALUES"))


def count(connection: Connection) -> int:
    return int(connection.execute(COUNT).scalar_one())


async def test_nothing_is_made_before_something_is_asked(path: Path) -> None:
    opened = SqliteDatabase(path)
    await opened.close()
    assert not path.parent.exists()


async def test_its_folder_is_made_when_it_is(record: SqliteDatabase) -> None:
    assert await record.read(count) == 0


async def test_another_process_that_closes_the_file_leaves_its_log_to_us(
    record: SqliteDatabase, path: Path
) -> None:
    """It would delete the WAL, and lose what is committed later, if our locks had gone with a descriptor."""
    await asyncio.gather(*(record.read(count) for _ in range(20)))  # opens a connection a thread
    look = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT * FROM things').fetchall()"
    done = await asyncio.create_subprocess_exec(sys.executable, "-c", look, str(path))
    assert await done.wait() == 0
    assert path.with_name(f"{path.name}-wal").exists()
    await record.write(add)
    assert await record.read(count) == 1


async def test_who_writes_does_not_wait_for_who_reads(record: SqliteDatabase) -> None:
    loop = asyncio.get_running_loop()

    def work(connection: Connection) -> int:
        before = count(connection)
        asyncio.run_coroutine_threadsafe(record.write(add), loop).result(20)
        return before

    assert await record.read(work) == 0
    assert await record.read(count) == 1


async def test_another_process_may_write_too(record: SqliteDatabase, path: Path) -> None:
    await record.write(add)
    other = sqlite3.connect(path)
    with other:
        other.execute("INSERT INTO things DEFAULT VALUES")
    other.close()
    await record.write(add)
    assert await record.read(count) == 3


async def test_who_finds_it_locked_for_too_long_is_told_so_and_may_try_again(
    path: Path, monkeypatch: pytest.MonkeyPatch, record: SqliteDatabase
) -> None:
    monkeypatch.setattr("imgproxy.files.database.sqlite._BUSY_SECONDS", 0.01)
    second = SqliteDatabase(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable):
        await second.write(add)
    assert await second.read(count) == 0
    other.execute("ROLLBACK")
    other.close()
    await second.write(add)
    assert await second.read(count) == 1
    await second.close()


@pytest.mark.parametrize("call", ["read", "write", "check"])
async def test_what_is_no_record_is_told_without_where_it_lies(tmp_path: Path, call: str) -> None:
    path = tmp_path / "record.db"
    path.write_bytes(b"no database, whatever it is called" * 100)
    opened = SqliteDatabase(path)
    with pytest.raises(Unavailable) as caught:
        await (opened.check() if call == "check" else getattr(opened, call)(count))
    assert str(tmp_path) not in str(caught.value)
    await opened.close()


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    opened = SqliteDatabase(tmp_path / "file" / "record.db")
    with pytest.raises(Unavailable):
        await opened.read(count)
    await opened.close()


async def test_sqlite_statement_over_its_limit_is_interrupted(
    monkeypatch: pytest.MonkeyPatch, record: SqliteDatabase
) -> None:
    endless = text("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n")
    monkeypatch.setattr("imgproxy.files.database.sqlite.STATEMENT_SECONDS", 0.01)
    with pytest.raises(Unavailable) as caught:
        await record.read(lambda c: c.execute(endless).all())
    assert "statement timeout" in str(caught.value.__cause__)
    assert await record.read(count) == 0


async def test_sqlite_work_that_waits_too_long_for_a_thread_is_not_run(
    monkeypatch: pytest.MonkeyPatch, record: SqliteDatabase
) -> None:
    monkeypatch.setattr("imgproxy.files.database.sqlite.POOL_SECONDS", -1.0)
    with pytest.raises(Unavailable) as caught:
        await record.write(add)
    assert "pool exhausted" in str(caught.value.__cause__)
    monkeypatch.undo()
    assert await record.read(count) == 0


async def test_sqlite_write_cancelled_before_it_began_is_not_run(record: SqliteDatabase) -> None:
    entered, leave = threading.Event(), threading.Event()

    def block(_: Connection) -> None:
        entered.set()
        leave.wait(20)

    blocking = asyncio.ensure_future(record.write(block))
    await asyncio.to_thread(entered.wait, 20)
    queued = asyncio.ensure_future(record.write(add))
    await asyncio.sleep(0)
    queued.cancel()
    await asyncio.sleep(0)  # the loop takes the work back from the pool in its next step
    leave.set()
    await blocking
    with pytest.raises(asyncio.CancelledError):
        await queued
    assert await record.read(count) == 0


async def test_rules_of_the_tables_hold_for_who_writes(record: SqliteDatabase) -> None:
    child = text("CREATE TABLE parts (thing INTEGER NOT NULL REFERENCES things (id))")
    await record.write(lambda c: c.execute(child))
    with pytest.raises(IntegrityError):
        await record.write(lambda c: c.execute(text("INSERT INTO parts VALUES (7)")))


async def test_it_calls_nobody(record: SqliteDatabase) -> None:
    assert (record.notifies, [notice async for notice in record.listen()]) == (False, [])


@pytest.mark.parametrize(
    "error",
    [
        sqlite3.OperationalError("database is locked"),
        sqlite3.DatabaseError("file is not a database"),
        OperationalError("SELECT 1", {}, Exception("disk I/O error")),
        DatabaseError("SELECT 1", {}, Exception("malformed")),
        PermissionError(13, "Permission denied"),
    ],
)
def test_what_is_wrong_with_the_file_is_one_of_our_errors(error: Exception) -> None:
    with pytest.raises(Unavailable) as caught, translated():
        raise error
    fault = caught.value.__cause__
    assert isinstance(fault, DatabaseFault)
    assert (fault.__cause__, str(caught.value)) == (error, "the database cannot be read or written")


@pytest.mark.parametrize(
    "error",
    [
        IntegrityError("INSERT", {}, Exception("UNIQUE")),
        ProgrammingError("SELECT", {}, Exception("no such column")),
        sqlite3.IntegrityError("UNIQUE"),
        ValueError("ours"),
    ],
)
def test_what_is_wrong_with_what_was_asked_comes_out_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, translated():
        raise error
    assert caught.value is error
