"""What a server's record promises beyond every record's: it comes back, and it tells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import await_only

from imgproxy.errors import FileNotFound, Unavailable
from imgproxy.files.database import ChangeNotice, Connection
from imgproxy.files.database.postgres import PostgresDatabase
from imgproxy.files.model import File
from imgproxy.files.repository import files
from tests.files.samples import file
from tests.postgres import Postgres

_SOON = 30.0  # seconds that nothing here takes, on any machine


@pytest.fixture
async def database(postgres: Postgres, postgres_record: str) -> AsyncIterator[PostgresDatabase]:
    """A record on it."""
    opened = PostgresDatabase(postgres.url(postgres_record))
    yield opened
    await opened.close()


def _one(connection: Connection) -> int:
    return int(connection.execute(text("SELECT 1")).scalar_one())


async def test_a_server_that_was_started_again_is_used_again(
    postgres: Postgres, database: PostgresDatabase
) -> None:
    assert await database.read(_one) == 1
    postgres.stop()
    postgres.start()
    assert await database.read(_one) == 1
    assert await database.write(_one) == 1


async def test_a_server_that_is_away_is_unavailable_and_nothing_else(
    postgres: Postgres, database: PostgresDatabase
) -> None:
    postgres.stop()
    try:
        with pytest.raises(Unavailable):
            await database.read(_one)
        with pytest.raises(Unavailable):
            await database.check()
    finally:
        postgres.start()


async def test_work_that_lost_its_connection_before_it_was_committed_runs_again(
    postgres: Postgres, database: PostgresDatabase, postgres_record: str
) -> None:
    ran = []

    def work(connection: Connection) -> int:
        ran.append(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
        if len(ran) == 1:
            postgres.sql(f"SELECT pg_terminate_backend({ran[0]})", name=postgres_record)
        return _one(connection)

    assert await database.write(work) == 1
    assert len(ran) == 2


async def test_a_connection_that_was_ended_while_it_idled_is_not_noticed(
    postgres: Postgres, database: PostgresDatabase, postgres_record: str
) -> None:
    for _ in range(3):
        pid = await database.write(lambda c: c.execute(text("SELECT pg_backend_pid()")).scalar_one())
        postgres.sql(f"SELECT pg_terminate_backend({pid}, 60000)", name=postgres_record)
        assert await database.write(_one) == 1


async def test_a_statement_that_takes_too_long_is_ended(database: PostgresDatabase) -> None:
    def work(connection: Connection) -> None:
        connection.execute(text("SET LOCAL statement_timeout = '10ms'"))
        connection.execute(text("SELECT pg_sleep(60)"))

    with pytest.raises(Unavailable):
        await database.write(work)


async def _next(told: AsyncIterator[ChangeNotice]) -> ChangeNotice:
    return await asyncio.wait_for(anext(told), _SOON)


async def test_who_listens_is_told_of_what_is_committed_and_of_nothing_else(
    database: PostgresDatabase,
) -> None:
    given, undone = file(), file()

    def fail(connection: Connection) -> None:
        files.insert_file(connection, undone)
        raise FileNotFound("undone")

    told = database.listen()
    assert await _next(told) == ChangeNotice("listening")
    with pytest.raises(FileNotFound):
        await database.write(fail)
    await database.write(lambda c: files.insert_file(c, given))
    await database.write(lambda c: files.update_file(c, given, replace(given, generation=2)))
    assert [await _next(told), await _next(told)] == [ChangeNotice("key", given.key)] * 2
    await told.aclose()  # type: ignore[attr-defined]


async def test_who_listens_hears_that_the_connection_was_lost_and_that_it_is_back(
    postgres: Postgres, database: PostgresDatabase
) -> None:
    given = file()
    told = database.listen()
    assert await _next(told) == ChangeNotice("listening")
    postgres.stop()
    assert await _next(told) == ChangeNotice("lost")
    postgres.start()
    assert await _next(told) == ChangeNotice("listening")
    await database.write(lambda c: files.insert_file(c, given))
    assert await _next(told) == ChangeNotice("key", given.key)
    await told.aclose()  # type: ignore[attr-defined]


async def test_closing_ends_listening(database: PostgresDatabase) -> None:
    told = database.listen()
    assert await _next(told) == ChangeNotice("listening")
    listening = asyncio.ensure_future(_next(told))
    await asyncio.sleep(0)
    await database.close()
    assert await listening == ChangeNotice("lost")
    with pytest.raises(StopAsyncIteration):
        await _next(told)


_AT_COMMIT = """
CREATE TEMP TABLE at_commit (one int);
CREATE FUNCTION pg_temp.at_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {does}; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON at_commit DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION pg_temp.at_commit();
INSERT INTO at_commit VALUES (1)
"""


def _at_commit(connection: Connection, does: str) -> None:
    for statement in _AT_COMMIT.format(does=does).split(";\n"):
        connection.execute(text(statement))


async def test_nobody_is_told_yes_when_the_commit_fails(database: PostgresDatabase) -> None:
    given = file()

    def work(connection: Connection) -> None:
        files.insert_file(connection, given)
        _at_commit(connection, "RAISE EXCEPTION 'no'")

    with pytest.raises(DBAPIError, match="RaiseError"):
        await database.write(work)
    assert await database.read(lambda c: files.file_by_id(c, given.tenant, given.id)) is None


async def test_work_that_lost_its_connection_while_it_was_committed_does_not_run_again(
    database: PostgresDatabase,
) -> None:
    ran = []

    def work(connection: Connection) -> None:
        ran.append(1)
        _at_commit(connection, "PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(60)")

    with pytest.raises(Unavailable):
        await database.write(work)
    assert ran == [1]


async def test_what_waits_behind_a_commit_that_fails_is_done(database: PostgresDatabase) -> None:
    work = [lambda c: _at_commit(c, "RAISE EXCEPTION 'no'"), _one] * 10
    done = await asyncio.gather(*(database.write(each) for each in work), return_exceptions=True)
    assert [type(each) for each in done] == [DBAPIError, int] * 10


async def test_a_value_that_the_driver_refuses_is_its_own_error(database: PostgresDatabase) -> None:
    with pytest.raises(DBAPIError, match="DataError"):
        await database.read(lambda c: files.files_to_purge(c, now=2**70))


@pytest.mark.parametrize("url", ["postgresql://olga:x@hunter2:y@db/x", "postgresql://olga@db:hunter2/x"])
def test_a_url_that_cannot_be_read_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(Unavailable, match="percent-encoded") as refused:
        PostgresDatabase(url)
    assert "hunter2" not in f"{refused.value!r} {refused.value.__cause__!r}"


async def _cause(url: str) -> str:
    """The cause of the failure to read from the database at a URL."""
    database = PostgresDatabase(url)
    try:
        with pytest.raises(Unavailable) as caught:
            await database.read(_one)
    finally:
        await database.close()
    assert "hunter2" not in f"{caught.value!r} {caught.value.__cause__!r}"
    return str(caught.value.__cause__)


async def test_postgres_unknown_database_is_named(postgres: Postgres) -> None:
    assert await _cause(postgres.url("nothing")) == 'unknown database: database "nothing" does not exist'


async def test_postgres_wrong_password_is_named_without_it(postgres: Postgres) -> None:
    rules = postgres.data / "pg_hba.conf"
    before = rules.read_text()
    postgres.sql("CREATE ROLE olga LOGIN PASSWORD 'right'")
    rules.write_text(f"local all olga scram-sha-256\n{before}")
    postgres.sql("SELECT pg_reload_conf()")
    try:
        cause = await _cause(postgres.url("postgres").replace("postgres@", "olga:hunter2@"))
    finally:
        rules.write_text(before)
        postgres.sql("SELECT pg_reload_conf()")
        postgres.sql("DROP ROLE olga")
    assert cause == 'wrong password: password authentication failed for user "olga"'


async def test_postgres_unknown_host_is_named() -> None:
    assert (await _cause("postgresql://olga:hunter2@nowhere.invalid/x")).startswith("unknown host: ")


async def test_postgres_refused_connection_is_named(unused_tcp_port: int) -> None:
    cause = await _cause(f"postgresql://olga:hunter2@127.0.0.1:{unused_tcp_port}/x")
    assert cause == "connection refused: no server listens there"


class _WithoutTls(asyncio.Protocol):
    """A server's end of a connection that refuses an SSLRequest."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, _: bytes) -> None:
        self._transport.write(b"N")
        self._transport.close()


async def test_postgres_refused_tls_is_named() -> None:
    async with await asyncio.get_running_loop().create_server(_WithoutTls, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"postgresql://olga:hunter2@127.0.0.1:{port}/x?sslmode=require"
        assert await _cause(url) == "TLS refused: the server offers none"


async def test_postgres_full_pool_is_unavailable_after_its_limit(
    postgres: Postgres, postgres_record: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgproxy.files.database.postgres._POOL_SIZE", 1)
    monkeypatch.setattr("imgproxy.files.database.postgres.POOL_SECONDS", 0.05)
    database = PostgresDatabase(postgres.url(postgres_record))
    entered = asyncio.Event()

    def work(connection: Connection) -> None:
        entered.set()
        connection.execute(text("SELECT pg_sleep(60)"))

    sleep = asyncio.ensure_future(database.read(work))
    await entered.wait()
    with pytest.raises(Unavailable, match="busy") as caught:
        await database.read(_one)
    assert "pool exhausted" in str(caught.value.__cause__)
    sleep.cancel()
    assert isinstance((await asyncio.gather(sleep, return_exceptions=True))[0], asyncio.CancelledError)
    await database.close()


async def test_postgres_deadlock_runs_the_work_again(database: PostgresDatabase) -> None:
    met = asyncio.Event()
    ran: list[str] = []
    locked: set[str] = set()

    async def meet(name: str) -> None:
        locked.add(name)
        if len(locked) == 2:
            met.set()
        await met.wait()

    def lock(name: str, first: int, second: int) -> Callable[[Connection], None]:
        def work(connection: Connection) -> None:
            ran.append(name)
            connection.execute(text(f"SELECT pg_advisory_xact_lock({first})"))
            await_only(meet(name))
            connection.execute(text(f"SELECT pg_advisory_xact_lock({second})"))

        return work

    await asyncio.gather(database.write(lock("a", 1, 2)), database.write(lock("b", 2, 1)))
    assert sorted(ran) in (["a", "a", "b"], ["a", "b", "b"])


async def test_postgres_write_cancelled_at_any_step_is_whole_or_nothing(database: PostgresDatabase) -> None:
    for steps in range(40):
        one, other = file(), file()

        def work(connection: Connection, one: File = one, other: File = other) -> None:
            files.insert_file(connection, one)
            files.insert_file(connection, other)

        writing = asyncio.ensure_future(database.write(work))
        for _ in range(steps):
            await asyncio.sleep(0)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        found = [
            await database.read(partial(files.file_by_id, tenant=each.tenant, id_=each.id))
            for each in (one, other)
        ]
        assert found in ([None, None], [one, other]), steps
    assert await asyncio.gather(*(database.write(_one) for _ in range(20))) == [1] * 20
