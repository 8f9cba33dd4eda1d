"""Promises of `imgproxy.files.repository.prepared`."""

from __future__ import annotations

from sqlalchemy import bindparam, insert, select

from imgproxy.files.database import Database
from imgproxy.files.repository.prepared import Prepared
from imgproxy.files.tables import tenants

_NAMED = Prepared(
    select(tenants.c.id, tenants.c.name)
    .where(tenants.c.name == bindparam("name"), tenants.c.created_at == 1)
    .order_by(tenants.c.id)
)
_ADD = Prepared(insert(tenants), writes=["id", "name", "created_at"])


async def test_rows_are_written_and_read_by_the_names_of_their_values(database: Database) -> None:
    for id_, name in (("b", "x"), ("a", "x"), ("c", "'; --")):
        values = {"created_at": 1, "name": name, "id": id_}
        assert await database.write(lambda c, v=values: _ADD.count(c, v)) == 1
    rows = await database.read(lambda c: _NAMED.all(c, {"name": "x", "unused": 5}))
    assert [tuple(each) for each in rows] == [("a", "x"), ("b", "x")]
    one = await database.read(lambda c: _NAMED.one(c, {"name": "'; --"}))
    assert one is not None
    assert tuple(one) == ("c", "'; --")


async def test_no_row_is_none(database: Database) -> None:
    assert await database.read(lambda c: _NAMED.one(c, {"name": "x"})) is None


async def test_a_statement_is_run_for_each_of_some_values(database: Database) -> None:
    tenants_ = [{"name": "x", "id": id_, "created_at": 1} for id_ in "ba"]
    await database.write(lambda c: _ADD.each(c, tenants_))
    rows = await database.read(lambda c: _NAMED.all(c, {"name": "x"}))
    assert [tuple(each) for each in rows] == [("a", "x"), ("b", "x")]
