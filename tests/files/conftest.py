"""The record of files on both engines: what takes `database` runs twice."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from imgproxy.files.database import Connection, Database, open_database
from imgproxy.files.database_url import DatabaseUrl, PostgresUrl, SqliteUrl
from imgproxy.files.migrations import newest
from imgproxy.files.tables import metadata
from imgproxy.storage import Storage
from imgproxy.storage.local import LocalStorage
from imgproxy.storage.memory import MemoryStorage
from tests.files.keeping import Keeping
from tests.files.uploading import Desk
from tests.postgres import Postgres


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record with its tables, to be copied: a tenth of the time that making them takes."""
    path = tmp_path_factory.mktemp("record") / "template.db"
    _migrate(SqliteUrl(path))
    return path


@pytest.fixture(scope="session")
def _postgres_record(postgres: Postgres) -> Iterator[str]:
    with postgres.database() as name:
        _migrate(PostgresUrl(postgres.url(name)))
        yield name


@pytest.fixture
def postgres_record(postgres: Postgres, _postgres_record: str) -> Iterator[str]:
    """The name of a database in `postgres` that is an empty record; emptying is quicker than making."""
    yield _postgres_record
    asyncio.run(empty_record(PostgresUrl(postgres.url(_postgres_record))))


async def empty_record(address: DatabaseUrl) -> None:
    """Leave the tables, and nothing in them but their version."""

    def work(connection: Connection) -> None:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
        connection.execute(text("DELETE FROM alembic_version"))
        connection.execute(text("INSERT INTO alembic_version VALUES (:newest)"), {"newest": newest()})

    database = await open_database(address)
    await database.write(work)
    await database.close()


def _migrate(address: DatabaseUrl) -> None:
    async def migrate() -> None:
        database = await open_database(address)
        await database.migrate()
        await database.close()

    asyncio.run(migrate())


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DatabaseUrl]:
    """Where an empty record of this version is."""
    if request.param == "sqlite":
        path = tmp_path / "record.db"
        shutil.copy(request.getfixturevalue("_sqlite_template"), path)
        yield SqliteUrl(path)
        return
    name = request.getfixturevalue("postgres_record")
    yield PostgresUrl(request.getfixturevalue("postgres").url(name))


@pytest.fixture
async def database(address: DatabaseUrl) -> AsyncIterator[Database]:
    """An empty record, on each engine."""
    opened = await open_database(address)
    yield opened
    await opened.close()


@pytest.fixture(params=["memory", "local"])
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Storage]:
    """An empty storage, of each kind that needs no server."""
    made: Storage = MemoryStorage() if request.param == "memory" else LocalStorage(tmp_path / "objects")
    yield made
    await made.close()


@pytest.fixture
def desk(database: Database, storage: Storage) -> Desk:
    """What makes files of uploads, on each engine and each storage."""
    return Desk(database, storage)


@pytest.fixture
async def here(_sqlite_template: Path, tmp_path: Path) -> AsyncIterator[Desk]:
    """The same on SQLite and in memory, for what does not depend on either."""
    path = tmp_path / "here.db"
    shutil.copy(_sqlite_template, path)
    opened = await open_database(SqliteUrl(path))
    yield Desk(opened, MemoryStorage())
    await opened.close()


@pytest.fixture
def keeping(desk: Desk) -> Keeping:
    """What reads, changes and keeps files, on each engine and each storage."""
    return Keeping(desk)


@pytest.fixture
def one(here: Desk) -> Keeping:
    """The same on SQLite and in memory, for what does not depend on either."""
    return Keeping(here)
