"""The tables keep out what cannot be, and mean the same on both engines."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import CheckConstraint, Table, insert, select
from sqlalchemy.exc import DBAPIError

from imgproxy.files.database import Connection, Database
from imgproxy.files.fields import file_row
from imgproxy.files.repository import rows
from imgproxy.files.repository.search_columns import search_columns
from imgproxy.files.tables import api_keys, files, metadata, shares, tenants, uploads
from tests.files import samples
from tests.files.samples import NOW

FILE = {**file_row(samples.file()), **search_columns(samples.file()), "changed": 1}
UPLOAD = rows.upload_row(samples.upload())
SHARE = {"tenant_id": "acme", "seq": 1, "type": "user", "principal_id": "ann"}
ACROSS_TENANTS = {  # what sweeps, edges and workers look for
    "files_changed", "files_to_purge", "file_tags_seq", "files_trigrams",
    "idempotency_expires_at", "outbox_due", "shares_seq", "uploads_open",
}  # fmt: skip


@pytest.mark.parametrize(
    ("table", "row", "wrong"),
    [
        (files, FILE, {"visibility": "secret"}),
        (files, FILE, {"state": "gone"}),
        (files, FILE, {"object_key": None}),
        (uploads, UPLOAD, {"state": "lost"}),
        (shares, SHARE, {"type": "everybody"}),
    ],
)
async def test_what_no_value_can_be_no_row_can(
    database: Database, table: Table, row: dict[str, Any], wrong: dict[str, Any]
) -> None:
    def add(record: Connection) -> None:
        record.execute(insert(table), {**row, **wrong})

    with pytest.raises(DBAPIError, match=r"(?i)check|null"):
        await database.write(add)
    await database.write(lambda record: record.execute(insert(table), row))


async def test_a_key_is_of_a_tenant_that_there_is(database: Database) -> None:
    key = {"id": "k", "tenant_id": "acme", "kind": "pk", "sha256": b"x" * 32, "created_at": NOW}
    with pytest.raises(DBAPIError, match=r"(?i)foreign key"):
        await database.write(lambda record: record.execute(insert(api_keys), key))


async def test_text_is_ordered_by_code_point(database: Database) -> None:
    names = ["A", "Z", "_", "a", "b", "z", "Ä", "ß", "é", "я", "日", "🐈"]

    def work(record: Connection) -> list[str]:
        for name in reversed(names):
            record.execute(insert(tenants), {"id": name, "name": name, "created_at": NOW})
        return [*record.execute(select(tenants.c.name).order_by(tenants.c.name)).scalars()]

    assert sorted(names) == names
    assert await database.write(work) == names


async def test_a_number_may_have_63_bits(database: Database) -> None:
    given = {"id": "a", "name": "a", "created_at": 2**63 - 1}
    await database.write(lambda record: record.execute(insert(tenants), given))
    assert await database.read(lambda record: record.execute(select(tenants.c.created_at)).scalar()) == (
        2**63 - 1
    )


def test_what_a_tenant_may_ask_by_begins_with_the_tenant() -> None:
    found = {
        str(index.name): next(iter(index.columns)).name
        for table in metadata.tables.values()
        for index in table.indexes
    }
    assert {name for name, first in found.items() if first != "tenant_id"} == ACROSS_TENANTS


def test_every_rule_has_a_name_to_be_changed_by() -> None:
    rules = [rule for table in metadata.tables.values() for rule in table.constraints]
    assert [rule for rule in rules if isinstance(rule, CheckConstraint) and not rule.name] == []
