"""Tests of `imgproxy.files.migrations`."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, Table, text

from imgproxy.errors import Unavailable
from imgproxy.files import migrations
from imgproxy.files.cursor import Sort
from imgproxy.files.database import Connection, Database, open_database
from imgproxy.files.database_url import DatabaseUrl
from imgproxy.files.fields import file_row
from imgproxy.files.model import FileState, Share, Visibility
from imgproxy.files.principal import Kind, Principal
from imgproxy.files.repository.files import file_by_id, shares_of
from imgproxy.files.repository.lists import ListQuery, list_files
from imgproxy.files.tables import metadata
from tests.files.samples import ACME, NOW, file


def _differences(connection: Connection) -> list[object]:
    def ours(_object: object, name: str | None, *_: object) -> bool:
        return not (name or "").startswith(("files_fts", "alembic_version"))

    options = {"include_object": ours, "compare_type": True}
    found = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    only_on_postgresql = connection.dialect.name == "sqlite"
    return [each for each in found if not (only_on_postgresql and "files_trigrams" in str(each))]


# SQLite has no GIN, and Alembic warns of an index that it cannot compare.
@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index")
async def test_migrated_tables_are_those_that_statements_are_written_for(database: Database) -> None:
    assert await database.read(_differences) == []


async def test_many_who_migrate_at_once_are_one_and_may_do_so_again(address: DatabaseUrl) -> None:
    opened = [await open_database(address) for _ in range(3)]

    await opened[0].write(_drop_everything)
    assert await opened[0].read(migrations.current) is None
    await asyncio.gather(*(each.migrate() for each in opened))
    assert await opened[0].read(migrations.is_newest)
    await asyncio.gather(*(each.close() for each in opened))


def _drop_everything(connection: Connection) -> None:
    for table in [*metadata.tables, "alembic_version", "files_fts"]:
        connection.execute(text(f"DROP TABLE IF EXISTS {table} CASCADE".removesuffix(_end(connection))))


def _end(connection: Connection) -> str:
    return " CASCADE" if connection.dialect.name == "sqlite" else ""


async def test_a_record_without_tables_is_not_ready_and_says_what_to_do(database: Database) -> None:
    await database.check()
    await database.write(lambda c: c.execute(text("DELETE FROM alembic_version")))
    with pytest.raises(Unavailable, match="imgproxy migrate"):
        await database.check()


async def test_a_record_of_a_newer_version_is_left_alone(database: Database) -> None:
    await database.write(lambda c: c.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(Unavailable, match="newer"):
        await database.migrate()


OLD = [file(original_name=f"Summer{at}.jpg", tags=("red", "blue")) for at in range(3)]


def _create_version_1(connection: Connection) -> None:
    """Fill the tables of 0001: two ready files of one millisecond, the second shared, and a deleted one."""
    _drop_everything(connection)
    command.upgrade(migrations._config(connection), "0001")
    states = (FileState.READY, FileState.READY, FileState.DELETED)
    visibilities = (Visibility.PUBLIC, Visibility.SHARED, Visibility.PUBLIC)
    before = Table("files", MetaData(), autoload_with=connection)
    for each, state, visibility in zip(OLD, states, visibilities, strict=True):
        values = file_row(replace(each, state=state, visibility=visibility))
        connection.execute(before.insert(), {**values, "changed": 1})
    connection.execute(
        Table("shares", MetaData(), autoload_with=connection).insert(),
        {"tenant_id": ACME, "file_id": OLD[1].id, "type": "user", "principal_id": "bob"},
    )


async def test_upgrade_from_version_1_lists_finds_and_shares_its_files(address: DatabaseUrl) -> None:
    database = await open_database(address)
    await database.write(_create_version_1)
    await database.migrate()
    bob = Principal(ACME, Kind.USER, user="bob")
    for filters in ({}, {"search": "summer"}, {"tag": "red"}, {"sort": Sort.ORIGINAL_NAME}):
        query = ListQuery(bob, NOW, **filters)
        page = await database.read(lambda c, q=query: list_files(c, q))
        assert {each.id for each in page.items} == {OLD[0].id, OLD[1].id}
    assert await database.read(lambda c: shares_of(c, ACME, OLD[1].id)) == (Share("user", "bob"),)
    found = await database.read(lambda c: file_by_id(c, ACME, OLD[2].id))
    assert found == replace(OLD[2], state=FileState.DELETED)
    await database.close()
