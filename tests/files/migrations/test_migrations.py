"""Promises of `imgproxy.files.migrations`."""

from __future__ import annotations

import asyncio

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from imgproxy.errors import Unavailable
from imgproxy.files import migrations
from imgproxy.files.database import Connection, Database, open_database
from imgproxy.files.database_url import DatabaseUrl
from imgproxy.files.tables import metadata


def _differences(connection: Connection) -> list[object]:
    def ours(_object: object, name: str | None, *_: object) -> bool:
        return not (name or "").startswith(("file_grams", "alembic_version"))

    options = {"include_object": ours, "compare_type": True}
    found = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    only_on_postgresql = connection.dialect.name == "sqlite"
    return [each for each in found if not (only_on_postgresql and "file_search_grams" in str(each))]


async def test_migrated_tables_are_those_that_statements_are_written_for(database: Database) -> None:
    assert await database.read(_differences) == []


async def test_many_who_migrate_at_once_are_one_and_may_do_so_again(address: DatabaseUrl) -> None:
    opened = [await open_database(address) for _ in range(3)]

    def forget_everything(connection: Connection) -> None:
        for table in [*metadata.tables, "alembic_version", "file_grams"]:
            connection.execute(text(f"DROP TABLE IF EXISTS {table} CASCADE".removesuffix(_end(connection))))

    await opened[0].write(forget_everything)
    assert await opened[0].read(migrations.current) is None
    await asyncio.gather(*(each.migrate() for each in opened))
    assert await opened[0].read(migrations.is_newest)
    await asyncio.gather(*(each.close() for each in opened))


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
