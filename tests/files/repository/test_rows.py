"""Rows and values say the same, whichever engine has kept them."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from imgproxy.files.database import Connection, Database
from imgproxy.files.fields import file_of_row, file_row
from imgproxy.files.model import File, FileId, FileState, Owner, Task, Upload, UploadState, Visibility
from imgproxy.files.repository import rows
from imgproxy.files.repository.files import file_by_id, insert_file
from imgproxy.files.repository.outbox import add_task
from imgproxy.files.tables import facts, files, outbox, tenants, uploads
from tests.files import samples
from tests.files.samples import ACME, NOW

FULL = samples.file(
    visibility=Visibility.SHARED,
    owner=Owner("session", "s1"),
    state=FileState.DELETED,
    row_version=3,
    generation=2,
    width=40,
    height=20,
    category="cats",
    description="a cat",
    alt="Кот",
    related_entity_id="post-1",
    tags=("b", "a"),
    metadata={"camera": {"name": "X100", "f": 1.5, "on": None}},
    deleted_at=NOW + 1,
    purge_after=NOW + 2,
    updated_at=NOW + 3,
)
CLAIMED = samples.upload(
    kind="multipart",
    visibility=Visibility.PROTECTED,
    owner=Owner("service"),
    state=UploadState.COMPLETING,
    declared_type="image/jpeg",
    declared_size=9,
    category="cats",
    storage_upload="s3-upload",
    file_id=FileId("f"),
    claimed_at=NOW + 1,
)


def in_order(table: Any, values: dict[str, Any]) -> list[Any]:
    """Values as a row of the table has them; some of `files` are none of theirs."""
    return [values.get(column.name) for column in table.c]


@pytest.mark.parametrize("value", [samples.file(), FULL], ids=["least", "full"])
def test_a_file_is_its_row_and_the_row_is_the_file(value: File) -> None:
    assert file_of_row(in_order(files, file_row(value))) == value


@pytest.mark.parametrize("value", [samples.upload(), CLAIMED], ids=["least", "full"])
def test_an_upload_is_its_row_and_the_row_is_the_upload(value: Upload) -> None:
    assert rows.upload(in_order(uploads, rows.upload_row(value))) == value


def test_no_column_is_forgotten() -> None:
    assert {*rows.upload_row(CLAIMED)} == {*uploads.c.keys()}
    assert {*file_row(FULL)} == {each.name for each in facts}


def test_words_come_back_as_words_that_are_compared_by_identity() -> None:
    file = file_of_row(in_order(files, {**file_row(FULL), "visibility": "shared", "state": "deleted"}))
    assert (file.visibility is Visibility.SHARED, file.state is FileState.DELETED) == (True, True)


@pytest.mark.parametrize("name", ["visibility", "state"])
def test_a_word_that_there_is_not_is_no_file(name: str) -> None:
    with pytest.raises(ValueError, match="bright"):
        file_of_row(in_order(files, {**file_row(FULL), name: "bright"}))


async def test_file_tags_and_metadata_come_back_the_same(database: Database) -> None:
    values = ["", "\0", "\\u0000", '"', "null", "[]", "Кот", "🐈", 2**53 - 1, -0.5, None, {}, [[]]]
    for value in values:
        metadata = {"a": value, str(value): [value, {"b": value}]}
        file = samples.file(tags=("b", "a", 'Кот "🐈"'), metadata=metadata)
        await database.write(partial(insert_file, file=file))
        assert await database.read(partial(file_by_id, tenant=file.tenant, id_=file.id)) == file


async def test_file_json_is_stored_without_spaces_and_escapes(database: Database) -> None:
    file = samples.file(tags=("b", "a"), metadata={"кот": [1, 2]})
    await database.write(partial(insert_file, file=file))
    columns = text("SELECT CAST(tags AS TEXT), CAST(metadata AS TEXT) FROM files")
    assert await database.read(lambda c: tuple(c.execute(columns).one())) == ('["b","a"]', '{"кот":[1,2]}')


@pytest.mark.parametrize(
    "value", [samples.task(), samples.task(attempts=10, last_error="gone", dead_at=NOW + 1)]
)
async def test_a_task_comes_back_the_same(database: Database, value: Task) -> None:
    def work(record: Connection) -> Task:
        add_task(record, value)
        return rows.task(record.execute(outbox.select()).one())

    assert await database.write(work) == value


async def test_a_row_whose_keys_are_taken_is_not_added_and_the_transaction_goes_on(
    database: Database,
) -> None:
    first = {"id": "acme", "name": "Acme", "created_at": NOW}

    def work(record: Connection) -> list[bool]:
        return [
            rows.add(record, tenants, given)
            for given in (first, {**first, "name": "Other"}, {**first, "id": "other"})
        ]

    assert await database.write(work) == [True, False, True]
    found = await database.read(lambda record: record.execute(tenants.select()).all())
    assert sorted((row.id, row.name) for row in found) == [("acme", "Acme"), ("other", "Acme")]


async def test_what_is_left_out_of_a_row_is_empty(database: Database) -> None:
    given = {"name": "Acme", "created_at": NOW, "id": ACME}
    await database.write(lambda record: rows.add(record, tenants, given))
    assert await database.read(lambda record: record.execute(tenants.select()).one().disabled_at) is None


def test_insert_or_ignore_is_compiled_once_and_cached() -> None:
    assert rows.insert_or_ignore(uploads)._generate_cache_key() is not None
