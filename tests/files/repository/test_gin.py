"""Promises of `imgproxy.files.repository.gin`: what GIN and signatures find, and when which is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, text

from imgproxy.files.cursor import Place, Sort
from imgproxy.files.database.postgres import PostgresDatabase
from imgproxy.files.model import File, Visibility
from imgproxy.files.principal import Kind, Principal
from imgproxy.files.repository import files, gin, listing
from imgproxy.files.repository.reach import ListQuery, reaches
from imgproxy.files.repository.search import Found
from tests.files.samples import ACME, NOW, OTHER, file
from tests.postgres import Postgres

_LIE = "mmer umm sum.jpg"
"""Has all grams of `summer`, and not the word."""
_FILES = [
    file(
        original_name="Summer.jpg" if at % 12 == 5 else _LIE if at % 12 == 3 else "winter.jpg",
        size=at * 7 % 37,
        visibility=(Visibility.PUBLIC, Visibility.PRIVATE, Visibility.PROTECTED)[at % 3],
    )
    for at in range(72)
]
_SUMMER = [each for each in _FILES if each.original_name == "Summer.jpg"]
_SERVICE = Principal(ACME, Kind.SERVICE)
_QUERY = ListQuery(_SERVICE, NOW, search="sUMMEr", sort=Sort.SIZE)
_ANYTHING = 1_000

_WAYS = {
    "walk": {"FEW": 2, "_TRIED": _ANYTHING},
    "gather": {"FEW": _ANYTHING},
    "go far": {"FEW": 2, "_TRIED": 1, "_FAR": _ANYTHING},
    "all candidates": {"FEW": 2, "_TRIED": 1, "_FAR": 1},
}


@pytest.fixture
async def database(postgres: Postgres, postgres_record: str) -> AsyncIterator[PostgresDatabase]:
    """A record of `_FILES` and one of another tenant."""
    opened = PostgresDatabase(postgres.url(postgres_record))
    others = file(tenant=OTHER, original_name="summer.jpg")
    await opened.write(lambda c: [files.insert_file(c, each) for each in (*_FILES, others)])
    yield opened
    await opened.close()


def _use(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    for name, value in _WAYS[way].items():
        monkeypatch.setattr(gin, name, value)


def _search(query: ListQuery, after: Place | None, wanted: int) -> Any:
    def work(connection: Connection) -> Found:
        asked = reaches(query, on="postgresql")
        return gin.GinSearch(connection, asked, after, wanted).found()

    return work


def _places(found: list[File], *, descending: bool = True) -> list[tuple[Any, str]]:
    return sorted(((each.size, each.id) for each in found), reverse=descending)


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("way", _WAYS)
async def test_every_way_finds_the_first_that_match_in_order(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch, way: str, descending: bool
) -> None:
    _use(monkeypatch, way)
    query = replace(_QUERY, descending=descending)
    expected = _places(_SUMMER, descending=descending)
    first = await database.read(_search(query, None, 3))
    assert first.places == expected[:3]
    rest = await database.read(_search(query, Place(*expected[1]), 3))
    assert rest.places == expected[2:5]


@pytest.mark.parametrize("way", _WAYS)
async def test_only_what_may_be_seen_is_found(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    _use(monkeypatch, way)
    seen = [each for each in _SUMMER if each.visibility is Visibility.PROTECTED]
    query = replace(_QUERY, visibility=Visibility.PROTECTED)
    assert (await database.read(_search(query, None, 100))).places == _places(seen)


async def test_the_total_of_few_candidates_is_exact(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_files = await database.read(_search(_QUERY, None, 3))
    assert (few_files.total, few_files.is_exact) == (6, True)
    monkeypatch.setattr(gin, "FEW", 12)
    found = await database.read(_search(_QUERY, None, 100))
    assert (found.total, found.is_exact) == (6, True)
    monkeypatch.setattr(gin, "FEW", 11)
    found = await database.read(_search(_QUERY, None, 100))
    assert (found.total, found.is_exact) == (6, False)


async def _spoil(database: PostgresDatabase, statement: str) -> None:
    await database.write(lambda c: c.execute(text(statement)))


async def test_gin_is_not_asked_for_common_words(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use(monkeypatch, "walk")
    await _spoil(database, "UPDATE file_search SET grams = '{}'")
    assert (await database.read(_search(_QUERY, None, 3))).places == _places(_SUMMER)[:3]


async def test_no_order_is_followed_where_there_are_few_files(database: PostgresDatabase) -> None:
    await _spoil(database, "UPDATE files SET signature = NULL")
    assert (await database.read(_search(_QUERY, None, 3))).places == _places(_SUMMER)[:3]


async def test_nobody_elses_files_are_found_whose_numbers_meet(database: PostgresDatabase) -> None:
    same = f"SELECT grams FROM file_search WHERE file_id = '{_SUMMER[0].id}'"  # noqa: S608
    await _spoil(database, f"UPDATE file_search SET grams = ({same})")  # noqa: S608
    assert (await database.read(_search(_QUERY, None, 100))).places == _places(_SUMMER)


async def test_texts_whose_signature_rules_them_out_are_not_looked_at(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use(monkeypatch, "walk")
    first, *rest = _places(_SUMMER)
    await _spoil(database, f"UPDATE files SET signature = 0::bit(384) WHERE id = '{first[1]}'")  # noqa: S608
    assert (await database.read(_search(_QUERY, None, 3))).places == rest[:3]


async def test_an_order_is_followed_as_far_as_is_told(database: PostgresDatabase) -> None:
    stretch = _places(_FILES)[:40]
    met = [place for place in stretch if place in _places(_SUMMER)]
    assert len(met) < len(_SUMMER)

    def walk(connection: Connection) -> list[tuple[Any, str]]:
        found = gin.GinSearch(connection, reaches(_QUERY, on="postgresql"), None, 100)
        return [(row[0], row[1]) for row in found._walked(40)]

    assert await database.read(walk) == met


async def test_a_file_is_met_by_its_new_text(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use(monkeypatch, "walk")
    named = next(each for each in _FILES if each.original_name == _LIE)
    await database.write(lambda c: files.update_file(c, named, replace(named, description="Autumn")))
    found = await database.read(_search(replace(_QUERY, search="autumn"), None, 1))
    assert found.places == _places([named])


async def test_a_list_is_planned_each_time_and_what_follows_it_is_not(database: PostgresDatabase) -> None:
    mode = text("SELECT current_setting('plan_cache_mode')")

    def work(connection: Connection) -> Any:
        listing.list_files(connection, _QUERY)
        return connection.execute(mode).scalar_one()

    assert await database.read(work) == "force_custom_plan"
    assert await database.read(lambda c: c.execute(mode).scalar_one()) == "auto"


_WITH_FILTERS = {
    "gather by filter": {"FEW": _ANYTHING},
    "walk": {"FEW": 1, "_TRIED": _ANYTHING},
    "gather by words": {"FEW": 12, "_TRIED": 1},
    "walk far": {"FEW": 1, "_TRIED": 1, "_FAR": _ANYTHING},
    "gather all": {"FEW": 1, "_TRIED": 1, "_FAR": 1},
}


@pytest.mark.parametrize("way", _WITH_FILTERS)
async def test_words_with_a_filter_are_found_every_way(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    for name, value in _WITH_FILTERS[way].items():
        monkeypatch.setattr(listing, name, value)
    query = replace(_QUERY, mime_type=_SUMMER[0].mime_type, limit=1)
    pages = [
        await database.read(lambda c, at=at: listing.list_files(c, replace(query, page=at))) for at in (1, 2)
    ]
    assert [(each.size, each.id) for page in pages for each in page.items] == _places(_SUMMER)[:2]
    assert pages[0].total_is_exact == way.startswith("gather by")


async def test_gin_is_not_asked_where_another_filter_finds_few(database: PostgresDatabase) -> None:
    await _spoil(database, "UPDATE file_search SET grams = '{}'")
    query = replace(_QUERY, mime_type=_SUMMER[0].mime_type)
    found = await database.read(lambda c: listing.list_files(c, query))
    assert [each.id for each in found.items] == [id_ for _, id_ in _places(_SUMMER)]


async def test_signatures_are_asked_in_walks_with_filters(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "FEW", 1)
    first, *rest = _places(_SUMMER)
    await _spoil(database, f"UPDATE files SET signature = 0::bit(384) WHERE id = '{first[1]}'")  # noqa: S608
    query = replace(_QUERY, mime_type=_SUMMER[0].mime_type, limit=1)
    found = await database.read(lambda c: listing.list_files(c, query))
    assert [each.id for each in found.items] == [rest[0][1]]
