"""Tests of `imgproxy.files.repository.search_columns`, and of the triggers that copy them."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from imgproxy.files.cursor import Sort
from imgproxy.files.database import Connection, Database
from imgproxy.files.model import File, FileState, Visibility
from imgproxy.files.principal import Kind, Principal
from imgproxy.files.repository import files, lists
from imgproxy.files.repository.lists import ListQuery
from imgproxy.files.repository.search_columns import seq_of, tenant_code
from imgproxy.files.tables import file_tags
from tests.files.samples import ACME, NOW, OTHER, file


def test_seq_of_is_ordered_by_time_and_fits_a_bigint() -> None:
    assert seq_of(1, "z") < seq_of(2, "a")
    assert seq_of(2**42 - 1, "a") < 2**63


def test_tenant_code_is_one_trigram_of_each_tenant() -> None:
    assert len(tenant_code(ACME)) == 3
    assert tenant_code(ACME) != tenant_code(OTHER)


def _found(connection: Connection, **filters: Any) -> list[File]:
    query = ListQuery(Principal(ACME, Kind.SERVICE), NOW, **filters)
    return list(lists.list_files(connection, query).items)


def _tags(connection: Connection) -> list[str]:
    return sorted(connection.execute(select(file_tags.c.tag)).scalars())


@pytest.fixture(params=[5_000, -1], ids=["compared", "by index"])
def _ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "_FEW", request.param)
    monkeypatch.setattr(lists, "_STRETCH", 0)
    monkeypatch.setattr(lists, "_LONG_STRETCH", 0)


@pytest.mark.usefixtures("_ways")
async def test_update_file_is_found_by_its_new_text_and_tags_alone(database: Database) -> None:
    given = file(original_name="summer.jpg", tags=("red", "red"))
    await database.write(lambda c: files.insert_file(c, given))
    renamed = replace(given, original_name="winter.jpg", tags=("blue", "green"))
    after = await database.write(lambda c: files.update_file(c, given, renamed))
    assert await database.read(lambda c: _found(c, search="summer")) == []
    assert await database.read(lambda c: _found(c, search="winter")) == [after]
    assert await database.read(lambda c: _found(c, tag="red")) == []
    assert await database.read(lambda c: _found(c, tag="blue")) == [after]


@pytest.mark.usefixtures("_ways")
async def test_update_file_deleted_and_restored_is_found_only_while_ready(database: Database) -> None:
    given = file(original_name="summer.jpg", tags=("red",))
    await database.write(lambda c: files.insert_file(c, given))
    gone = replace(given, state=FileState.DELETED)
    gone = await database.write(lambda c: files.update_file(c, given, gone))
    assert await database.read(_tags) == []
    assert await database.read(lambda c: _found(c, search="summer")) == []
    back = await database.write(lambda c: files.update_file(c, gone, replace(gone, state=FileState.READY)))
    assert await database.read(_tags) == ["red"]
    assert await database.read(lambda c: _found(c, search="summer")) == [back]


async def test_update_file_is_listed_under_its_new_visibility(database: Database) -> None:
    given = file(tags=("red",))
    await database.write(lambda c: files.insert_file(c, given))
    hidden = replace(given, visibility=Visibility.PRIVATE)
    after = await database.write(lambda c: files.update_file(c, given, hidden))
    for filters in ({}, {"tag": "red"}, {"sort": Sort.SIZE}):
        both = {**filters, "visibility": Visibility.PRIVATE}
        assert await database.read(lambda c, f=both: _found(c, **f)) == [after]
        both = {**filters, "visibility": Visibility.PUBLIC}
        assert await database.read(lambda c, f=both: _found(c, **f)) == []


async def test_insert_file_of_one_millisecond_and_equal_bits_is_listed_too(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zlib, "crc32", lambda _: 0)
    given = [file(original_name=f"summer{at}.jpg") for at in range(3)]
    await database.write(lambda c: [files.insert_file(c, each) for each in given])
    assert len(await database.read(lambda c: _found(c, search="summer"))) == 3
