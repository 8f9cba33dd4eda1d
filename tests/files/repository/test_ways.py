"""Promises of `imgproxy.files.repository.ways`: what is found, and how far is looked for it."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection

from imgproxy.files.cursor import Place, Sort
from imgproxy.files.database import Database
from imgproxy.files.model import File, Visibility
from imgproxy.files.principal import Kind, Principal
from imgproxy.files.repository import files, ways
from imgproxy.files.repository.prepared import Prepared
from imgproxy.files.repository.reach import ListQuery, Reach
from tests.files.samples import ACME, NOW, file
from tests.files.uploading import Desk

_NAMES = ("summer.jpg", "winter.jpg", "mmer umm sum.jpg")
"""The last has all grams of `summer`, and not the word."""
_FILES = [
    file(
        original_name=name,
        size=at * 7 % 10,
        created_at=NOW + at % 3,
        mime_type="image/png" if at % 2 else "image/jpeg",
        category="pets" if at % 3 else None,
    )
    for at, name in enumerate(_NAMES * 8)
]


@pytest.fixture
async def filled(database: Database) -> Database:
    """`_FILES`, on each engine."""
    await database.write(lambda c: [files.insert_file(c, each) for each in _FILES])
    return database


def _reach(engine: str, **facts: Any) -> Reach:
    query = ListQuery(Principal(ACME, Kind.SERVICE), NOW, sort=Sort.SIZE, **facts)
    return Reach(query, Visibility.PUBLIC, engine=engine)


def _by_size(found: list[File]) -> list[tuple[int, str]]:
    return sorted(((each.size, each.id) for each in found), reverse=True)


def _run(
    connection: Connection, statement: Prepared, reach: Reach, after: Place | None = None, **limits: int
) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in statement.all(connection, reach.values(after) | limits)]


def _walked(connection: Connection, *, limit: int, stretch: int) -> list[tuple[Any, ...]]:
    reach = _reach(connection.dialect.name, mime_type="image/png", category="pets")
    statement = ways.walk(reach.shape(None), "mime_type")
    return _run(connection, statement, reach, limit=limit, stretch=stretch)


_PNG = [each for each in _FILES if each.mime_type == "image/png"]


async def test_a_walk_finds_the_first_that_match_in_order(filled: Database) -> None:
    expected = _by_size([each for each in _PNG if each.category == "pets"])[:3]
    assert await filled.read(lambda c: _walked(c, limit=3, stretch=100)) == expected


async def test_a_walk_ends_with_its_stretch(filled: Database) -> None:
    first = _by_size(_PNG)[:5]
    expected = [place for place in first if place in _by_size([e for e in _PNG if e.category == "pets"])]
    assert len(expected) < 5  # or nothing would be left out
    assert await filled.read(lambda c: _walked(c, limit=100, stretch=5)) == expected


async def test_a_size_is_counted_as_far_as_its_limit(filled: Database) -> None:
    def sizes(connection: Connection) -> list[Any]:
        reach = _reach(connection.dialect.name, search="summer")
        statement = ways.size(reach.shape(None), "search")
        return [_run(connection, statement, reach, limit=limit)[0][0] for limit in (5, 100)]

    assert await filled.read(sizes) == [5, 8]


_SUMMER = [each for each in _FILES if each.original_name == "summer.jpg"]


@pytest.fixture
async def on_sqlite(here: Desk) -> Database:
    """`_FILES`, where FTS5 is."""
    await here.database.write(lambda c: [files.insert_file(c, each) for each in _FILES])
    return here.database


def _searched(connection: Connection, *, among: bool, after: Place | None = None, **limits: int) -> Any:
    reach = _reach("sqlite", search="summer")
    statement = ways.walk_search(reach.shape(after), among=among)
    return _run(connection, statement, reach, after, **limits)


@pytest.mark.parametrize("among", [True, False])
async def test_a_walk_of_a_search_finds_the_first_in_order(on_sqlite: Database, among: bool) -> None:
    found = await on_sqlite.read(lambda c: _searched(c, among=among, limit=5, stretch=100))
    assert found == _by_size(_SUMMER)[:5]


@pytest.mark.parametrize("among", [True, False])
async def test_a_walk_of_a_search_goes_on_after_a_place(on_sqlite: Database, among: bool) -> None:
    after = Place(*_by_size(_SUMMER)[2])
    found = await on_sqlite.read(lambda c: _searched(c, among=among, after=after, limit=100, stretch=100))
    assert found == _by_size(_SUMMER)[3:]


@pytest.mark.parametrize("among", [True, False])
async def test_a_walk_of_a_search_ends_with_its_stretch(on_sqlite: Database, among: bool) -> None:
    first = _by_size(_FILES)[:7]
    found = await on_sqlite.read(lambda c: _searched(c, among=among, limit=100, stretch=7))
    assert found == [place for place in first if place in _by_size(_SUMMER)]
    assert 0 < len(found) < 7  # or nothing would be left out


async def test_candidates_are_counted_by_their_grams_alone(on_sqlite: Database) -> None:
    values = _reach("sqlite", search="summer").values(None)
    count = await on_sqlite.read(lambda c: ways.candidates().one(c, values | {"limit": 100}))
    assert count == (16,)


@pytest.mark.parametrize(("offset", "expected"), [(15, 1), (16, 0)])
async def test_more_candidates_than_a_number_are_noticed(
    on_sqlite: Database, offset: int, expected: int
) -> None:
    values = _reach("sqlite", search="summer").values(None) | {"offset": offset}
    assert len(await on_sqlite.read(lambda c: ways.candidate_at().all(c, values))) == expected
