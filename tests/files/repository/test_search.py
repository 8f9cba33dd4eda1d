"""Promises of `imgproxy.files.repository.search`: what FTS5 finds, and how far is looked for it."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, text

from imgproxy.files.cursor import Place, Sort
from imgproxy.files.database import Database
from imgproxy.files.model import File, Visibility
from imgproxy.files.principal import Kind, Principal
from imgproxy.files.repository import files, index, search, ways
from imgproxy.files.repository.prepared import Prepared
from imgproxy.files.repository.reach import ListQuery, reaches
from tests.files.samples import ACME, NOW, OTHER, file
from tests.files.uploading import Desk

_NAMES = ("summer.jpg", "winter.jpg", "mmer umm sum.jpg")
"""The last has all grams of `summer`, and not the word."""
_FILES = [
    file(
        original_name=name,
        size=at * 7 % 37,
        created_at=NOW + at % 3,
        mime_type="image/png" if at % 2 else "image/jpeg",
        category="pets" if at % 3 else None,
        tags=("red",) if at % 4 < 3 else (),
        visibility=Visibility.PRIVATE if at % 7 == 0 else Visibility.PUBLIC,
    )
    for at, name in enumerate(_NAMES * 12)
]
_SERVICE = Principal(ACME, Kind.SERVICE)
_SUMMER = [each for each in _FILES if each.original_name == "summer.jpg"]
_RED_PNG = [each for each in _FILES if each.tags and each.mime_type == "image/png"]
_ASKED: dict[str, tuple[dict[str, Any], list[File]]] = {
    "words": ({"search": "summer"}, _SUMMER),
    "filters": ({"tag": "red", "mime_type": "image/png"}, _RED_PNG),
    "words and filters": (
        {"search": "summer", "owner_id": "ann", "mime_type": "image/png"},
        [each for each in _SUMMER if each.mime_type == "image/png"],
    ),
}


@pytest.fixture
async def filled(here: Desk) -> Database:
    """`_FILES` and those of another tenant."""
    others = [file(tenant=OTHER, original_name="summer.jpg", mime_type="image/png", tags=("red",))]
    await here.database.write(lambda c: [files.insert_file(c, each) for each in (*_FILES, *others)])
    return here.database


def _search(
    connection: Connection, facts: dict[str, Any], *, wanted: int = 100, after: Place | None = None
) -> search.Search:
    query = ListQuery(_SERVICE, NOW, **{"sort": Sort.SIZE} | facts)
    return search.Search(connection, reaches(query, on="sqlite"), after, wanted)


def _by_size(found: list[File]) -> list[tuple[int, str]]:
    return sorted(((each.size, each.id) for each in found), reverse=True)


def _read(
    connection: Connection, facts: dict[str, Any], statement: Prepared, **limits: int
) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in _search(connection, facts)._read(statement, **limits)]


def _shapes(facts: dict[str, Any], after: Place | None = None) -> tuple[ways.Shape, ...]:
    query = ListQuery(_SERVICE, NOW, **{"sort": Sort.SIZE} | facts)
    return tuple(each.shape(after) for each in reaches(query, on="sqlite"))


@pytest.mark.parametrize(("facts", "expected"), _ASKED.values(), ids=_ASKED)
async def test_what_matches_is_gathered_and_counted(
    filled: Database, facts: dict[str, Any], expected: list[File]
) -> None:
    found = await filled.read(lambda c: _search(c, facts).found())
    assert found == search.Found(_by_size(expected), len(expected), is_exact=True)


@pytest.mark.parametrize("sort", [Sort.SIZE, Sort.CREATED_AT])
@pytest.mark.parametrize(("asked", "limit"), [("words", "_LOOKED_AT_TO_COUNT"), ("filters", "_COUNTED")])
async def test_a_total_is_exact_as_far_as_is_counted(
    filled: Database, monkeypatch: pytest.MonkeyPatch, sort: Sort, asked: str, limit: str
) -> None:
    facts, expected = _ASKED[asked]

    def counted(connection: Connection) -> tuple[int, bool]:
        found = _search(connection, facts | {"sort": sort}).found()
        return found.total, found.is_exact

    monkeypatch.setattr(search, "FEW", 2)
    monkeypatch.setattr(search, limit, len(expected))
    assert await filled.read(counted) == (len(expected), True)
    monkeypatch.setattr(search, limit, len(expected) - 1)
    assert await filled.read(counted) == (len(expected), False)


@pytest.mark.parametrize("narrow", [True, False])
@pytest.mark.parametrize(("facts", "expected"), _ASKED.values(), ids=_ASKED)
async def test_a_walk_finds_the_first_of_a_stretch_in_order(
    filled: Database, facts: dict[str, Any], expected: list[File], narrow: bool
) -> None:
    along = [each for each in _FILES if each.tags] if "tag" in facts and narrow else _FILES
    stretch = [place for place in _by_size(along)[3:][:-3] if place in _by_size(expected)]
    assert len(stretch) > 2  # or the limit would cut nothing
    statement = search.walk(_shapes(facts), narrow=narrow)
    limits = {"limit": len(stretch) - 1, "skipped": 3, "stretch": len(along) - 6}
    assert await filled.read(lambda c: _read(c, facts, statement, **limits)) == stretch[:-1]
    assert await filled.read(lambda c: _read(c, facts, statement, **limits | {"limit": 100})) == stretch


@pytest.mark.parametrize("sort", [Sort.SIZE, Sort.CREATED_AT])
async def test_a_total_of_few_candidates_is_exact(
    filled: Database, monkeypatch: pytest.MonkeyPatch, sort: Sort
) -> None:
    monkeypatch.setattr(search, "FEW", 24)
    monkeypatch.setattr(search, "_LOOKED_AT_TO_COUNT", 2)
    found = await filled.read(lambda c: _search(c, {"search": "summer", "sort": sort}).found())
    assert (found.total, found.is_exact) == (12, True)


async def test_candidates_are_counted_by_their_grams_alone(filled: Database) -> None:
    facts = {"search": "summer"}
    assert await filled.read(lambda c: _read(c, facts, search.candidates(), limit=100)) == [(24,)]
    assert await filled.read(lambda c: _read(c, facts, search.candidates(), limit=20)) == [(20,)]


@pytest.mark.parametrize(
    ("time", "descending", "expected"),
    [(-1, True, 0), (-1, False, 12), (2**63 - 1, True, 12), (2**63 - 1, False, 0)],
)
async def test_a_made_up_cursor_may_be_of_any_time(
    filled: Database, time: int, descending: bool, expected: int
) -> None:
    facts = {"search": "summer", "sort": Sort.CREATED_AT, "descending": descending}
    found = await filled.read(lambda c: _search(c, facts, after=Place(time, "")).found())
    assert len(found.places) == expected


_FEW = {"FEW": 2, "_TRIED": 6, "_SIGNED": 20, "_LOOKED": 15, "_DEEP": 1, "_SOME": 23}
"""Where `summer` has 24 candidates, and 12 of 36 files."""
_FIRST = (False, 0, 6)


@pytest.mark.parametrize(
    ("asked", "wanted", "limits", "expected"),
    [
        ("words", 1, {}, [_FIRST]),
        ("words", 3, {"_SOME": 24}, [_FIRST, (False, 6, 20)]),
        ("words", 9, {}, [_FIRST, (False, 6, 20)]),
        ("words", 9, {"_SOME": 24}, [_FIRST]),
        ("words", 9, {"_DEEP": 2}, [_FIRST, (False, 6, 20)]),
        ("words", 9, {"_DEEP": 3}, [_FIRST]),
        ("words", 23, {}, [_FIRST, (False, 6, 23)]),
        ("filters", 6, {"_SOME": 5}, [(True, 0, 6), (True, 6, 15)]),
        ("words and filters", 5, {"_SOME": 2, "_SIGNED": 5}, [_FIRST, (True, 0, 15)]),
        ("words and filters", 3, {}, [_FIRST, (False, 6, 20)]),
    ],
    ids=[
        *("at once", "many met", "many", "some", "not so deep", "deep", "long", "without signatures"),
        *("in the range of a filter", "many met with filters"),
    ],
)
async def test_an_order_is_followed_as_far_as_it_is_better_than_to_gather(
    filled: Database,
    monkeypatch: pytest.MonkeyPatch,
    asked: str,
    wanted: int,
    limits: dict[str, int],
    expected: list[tuple[bool, int, int]],
) -> None:
    told: list[tuple[bool, int, int]] = []
    walked = search.Search._walked

    def noting(self: search.Search, skipped: int, stretch: int, *, narrow: bool) -> Any:
        told.append((narrow, skipped, stretch))
        return walked(self, skipped, stretch, narrow=narrow)

    monkeypatch.setattr(search.Search, "_walked", noting)
    for name, value in {**_FEW, **limits}.items():
        monkeypatch.setattr(search, name, value)
    facts, matching = _ASKED[asked]
    found = await filled.read(lambda c: _search(c, facts, wanted=wanted).found())
    assert found.places == _by_size(matching)[:wanted]
    assert told == expected


async def test_texts_are_looked_at_whose_signatures_may_match(filled: Database) -> None:
    """One that does not have the grams' bits is passed by, even though its text matches."""
    facts = {"search": "summer"}
    unsigned = text("UPDATE files SET signature = signature & ~:one WHERE id = :id")
    one = index.short_signature("sum")
    missed = _by_size(_SUMMER)[0]
    await filled.write(lambda c: c.execute(unsigned, {"one": one, "id": missed[1]}))
    walk, limits = search.walk(_shapes(facts), narrow=False), {"limit": 100, "skipped": 0, "stretch": 100}
    found = await filled.read(lambda c: _read(c, facts, walk, **limits))
    assert found == _by_size(_SUMMER)[1:]


@pytest.mark.parametrize("narrow", [True, False])
@pytest.mark.parametrize("facts", [facts for facts, _ in _ASKED.values()], ids=_ASKED)
async def test_an_order_is_read_off_indexes(filled: Database, facts: dict[str, Any], narrow: bool) -> None:
    def plan(connection: Connection) -> str:
        driver: Any = connection.connection.driver_connection
        ran: list[str] = []
        driver.set_trace_callback(ran.append)
        limits = {"limit": 5, "skipped": 0, "stretch": 5}
        _read(connection, facts, search.walk(_shapes(facts), narrow=narrow), **limits)
        driver.set_trace_callback(None)
        walked = next(each for each in ran if "along" in each)
        return "\n".join(row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {walked}"))

    told = await filled.read(plan)
    assert "TEMP B-TREE" not in told
    assert "SCAN file" not in told
