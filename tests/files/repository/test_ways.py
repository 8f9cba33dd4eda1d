"""Promises of `imgproxy.files.repository.ways`: what is found, and how far is looked for it."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection

from imgproxy.files.cursor import Sort
from imgproxy.files.database import Database
from imgproxy.files.model import File, Visibility
from imgproxy.files.principal import Kind, Principal
from imgproxy.files.repository import files, ways
from imgproxy.files.repository.prepared import Prepared
from imgproxy.files.repository.reach import ListQuery, Reach
from tests.files.samples import ACME, NOW, file

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


def _run(connection: Connection, statement: Prepared, reach: Reach, **limits: int) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in statement.all(connection, reach.values(None) | limits)]


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
