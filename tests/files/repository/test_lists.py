"""Tests of `imgproxy.files.repository.lists`: every list is what a loop over all files gives."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, islice
from typing import Any

import pytest
from sqlalchemy import text

from imgproxy.errors import InvalidRequest, ListTooBroad
from imgproxy.files.cursor import Sort
from imgproxy.files.database import Connection, Database
from imgproxy.files.model import File, FileState, Owner, Share, Visibility
from imgproxy.files.policy import Action, allows
from imgproxy.files.principal import Kind, Principal
from imgproxy.files.repository import files, lists
from imgproxy.files.repository.lists import ListPage, ListQuery
from imgproxy.files.repository.search_columns import folded, seq_of, tenant_code
from tests.files.samples import ACME, NOW, OTHER, file
from tests.files.uploading import Desk

SERVICE = Principal(ACME, Kind.SERVICE)
ANONYMOUS = Principal(ACME, Kind.ANONYMOUS)
ANN = Principal(ACME, Kind.USER, user="ann", role="editor", groups=frozenset({"cats", "dogs"}))
NOBODY = Principal(ACME, Kind.USER)
PRINCIPALS = {"service": SERVICE, "anonymous": ANONYMOUS, "ann": ANN, "nameless user": NOBODY}
SHARES = (
    (),
    (Share("user", "ann"), Share("role", "editor"), Share("group", "cats")),
    (Share("user", "ann", expires_at=NOW), Share("group", "birds")),
    (Share("group", "dogs", expires_at=NOW + 1),),
    (Share("user", "bob"), Share("role", "ann"), Share("user", "")),
)
NAMES = (
    "cat.jpg",
    "Cat.JPG",
    "100%_cat.jpg",
    "Äpfel.png",
    "dog.pdf",
    "a\\b.txt",
    "ǆ.gif",
    "日本.webp",
    "CAT",
)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give lists half a minute: a process of a busy machine may stand still for half a second."""
    monkeypatch.setattr(lists, "_DEADLINE_SECONDS", 30.0)


def _world() -> list[tuple[File, tuple[Share, ...]]]:
    """Files of every kind, most of whose facts they share with others, so that orders have ties."""
    draw = random.Random(5)  # noqa: S311  the same world each time
    made = []
    for _ in range(160):
        given = file(
            tenant=draw.choice((ACME, ACME, ACME, OTHER)),
            visibility=draw.choice([*Visibility]),
            state=draw.choice((FileState.READY,) * 5 + (FileState.DELETED, FileState.PURGED)),
            owner=draw.choice(
                (Owner("user", "ann"), Owner("user", "bob"), Owner("session", "ann"), Owner("public"))
            ),
            collection=draw.choice(("images", "documents")),
            mime_type=draw.choice(("image/jpeg", "image/png", "application/pdf")),
            category=draw.choice((None, "pets", "fruit")),
            original_name=draw.choice(NAMES),
            description=draw.choice((None, "a Cat on 100% wool", "line\nbreak")),
            alt=draw.choice((None, "Straße", "x")),
            size=draw.choice((0, 5, 2**40)),
            created_at=NOW + draw.randrange(4),
            updated_at=NOW + draw.randrange(4),
            tags=tuple(draw.sample(("red", "green", "red green"), draw.randrange(3))),
        )
        made.append((given, draw.choice(SHARES)))
    return made


WORLD = _world()

FILTERS: dict[str, dict[str, Any]] = {
    "nothing": {},
    **{each.value: {"visibility": each} for each in Visibility},
    "owner type": {"owner_type": "session"},
    "owner id": {"owner_id": "ann"},
    "owner": {"owner_type": "user", "owner_id": "ann"},
    "another's": {"owner_type": "user", "owner_id": "bob"},
    "public owner": {"owner_type": "public", "owner_id": ""},
    "collection": {"collection": "documents"},
    "type": {"mime_type": "image/png"},
    "category": {"category": "pets"},
    "tag": {"tag": "red"},
    "no such tag": {"tag": "blue"},
    "half a tag": {"tag": "gree"},
    "cat": {"search": "cAT"},
    "wildcard": {"search": "%_c"},
    "percent": {"search": "0% w"},
    "backslash": {"search": "a\\b"},
    "umlaut": {"search": "ÄPF"},
    "sharp s": {"search": "STRASSE"},
    "compatibility": {"search": "DŽ.G"},
    "letters in another order": {"search": "tac"},
    "all grams and not the text": {"search": "cat.jpg on 100% wool"},
    "quote": {"search": "'\"'"},
    "nul": {"search": "\0"},
    "half a surrogate": {"tag": "\ud800"},
    "several": {"mime_type": "image/jpeg", "collection": "images", "tag": "red", "search": "cat"},
    "tag and owner": {"tag": "green", "owner_type": "user", "owner_id": "ann"},
    "visibility and search": {"visibility": Visibility.SHARED, "search": "cat"},
    "owner type and collection": {"owner_type": "user", "collection": "images"},
    "category and collection": {"category": "pets", "collection": "images"},
    "tag and type": {"tag": "green", "mime_type": "image/png"},
    "tag and search": {"tag": "red", "search": "cat"},
}


@pytest.fixture
async def world(database: Database) -> Database:
    """All files of `WORLD`."""
    await database.write(_fill)
    return database


def _fill(connection: Connection) -> None:
    for given, with_whom in WORLD:
        files.insert_file(connection, given)
        files.replace_shares(connection, given.tenant, given.id, with_whom)


def _expected(query: ListQuery) -> list[File]:
    """What a plain loop finds."""
    column = {
        Sort.CREATED_AT: "created_at",
        Sort.UPDATED_AT: "updated_at",
        Sort.ORIGINAL_NAME: "original_name",
        Sort.SIZE: "size",
        Sort.MIME_TYPE: "mime_type",
    }[query.sort]
    found = [
        given
        for given, with_whom in WORLD
        if given.state is FileState.READY
        and allows(query.principal, Action.LIST, given, with_whom, now=query.now)
        and _matches(given, query)
    ]
    place = {each.id: seq_of(each.created_at, each.id) for each in found}
    return sorted(found, key=lambda each: (getattr(each, column), place[each.id]), reverse=query.descending)


def _matches(given: File, query: ListQuery) -> bool:
    texts = (given.original_name, given.description or "", given.alt or "")
    return (
        query.visibility in (None, given.visibility)
        and query.owner_type in (None, given.owner.type)
        and query.owner_id in (None, given.owner.id)
        and query.collection in (None, given.collection)
        and query.mime_type in (None, given.mime_type)
        and query.category in (None, given.category)
        and (query.tag is None or query.tag in given.tags)
        and (not query.search or any(folded(query.search) in folded(each) for each in texts))
    )


def _queries(principal: Principal, *, orders: int = 1, limit: int = 7) -> Iterator[ListQuery]:
    """Every filter in some orders, in other ones than the filter before."""
    every = cycle([(sort, descending) for sort in Sort for descending in (False, True)])
    for facts in FILTERS.values():
        for sort, descending in islice(every, orders):
            yield ListQuery(principal, NOW, sort=sort, descending=descending, limit=limit, **facts)


async def _list(database: Database, query: ListQuery) -> ListPage:
    return await database.read(lambda connection: lists.list_files(connection, query))


@pytest.mark.parametrize("principal", PRINCIPALS.values(), ids=PRINCIPALS)
async def test_list_files_first_page_is_what_a_loop_finds(world: Database, principal: Principal) -> None:
    for query in _queries(principal):
        expected = _expected(query)
        page = await _list(world, query)
        assert page.items == tuple(expected[:7]), query
        assert (page.total, page.total_is_exact) == (len(expected), True), query
        assert page.has_next == (len(expected) > 7), query


async def _all_pages(database: Database, query: ListQuery, how: str) -> list[File]:
    found: list[File] = []
    while True:
        page = await _list(database, query)
        found += page.items
        if not page.has_next:
            assert page.next_cursor is None
            return found
        further = {"cursor": page.next_cursor} if how == "cursor" else {"page": query.page + 1}
        query = replace(query, **further)


@pytest.mark.parametrize("how", ["page", "cursor"])
@pytest.mark.parametrize("principal", [SERVICE, ANN], ids=["service", "ann"])
async def test_list_files_pages_put_together_are_the_whole_list(
    world: Database, principal: Principal, how: str
) -> None:
    for query in _queries(principal, limit=25):
        assert await _all_pages(world, query, how) == _expected(query), query


WAYS = {
    "order followed": {"_FEW": -1, "_FEW_TO_SORT": -1, "_STRETCH": 1_000, "_LONG_STRETCH": 1_000},
    "search by index": {"_FEW": -1, "_FEW_TO_SORT": 1_000, "_STRETCH": 9, "_LONG_STRETCH": 9},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("principal", [SERVICE, ANN], ids=["service", "ann"])
async def test_list_files_finds_the_same_where_many_files_match(
    world: Database, principal: Principal, way: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in way.items():
        monkeypatch.setattr(lists, name, value)
    for query in _queries(principal, orders=2):
        assert await _all_pages(world, query, "cursor") == _expected(query), query


@pytest.mark.parametrize(
    "filters", [{}, {"mime_type": "image/jpeg"}, {"owner_type": "user", "owner_id": "ann"}]
)
async def test_list_files_total_of_one_filter_is_exact_up_to_its_maximum(
    world: Database, filters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    query = ListQuery(SERVICE, NOW, **filters)
    exact = len(_expected(query))
    monkeypatch.setattr(lists, "MAX_TOTAL", exact)
    page = await _list(world, query)
    assert (page.total, page.total_is_exact) == (exact, True)
    monkeypatch.setattr(lists, "MAX_TOTAL", exact - 1)
    page = await _list(world, query)
    assert (page.total, page.total_is_exact) == (exact - 1, False)


async def test_list_files_total_of_many_matches_is_what_pages_have_shown(
    world: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "_FEW", -1)
    query = ListQuery(SERVICE, NOW, search="cat", limit=20)
    exact = len(_expected(query))
    pages = [await _list(world, replace(query, page=at)) for at in (1, 2, -(-exact // 20))]
    totals = [(page.total, page.total_is_exact) for page in pages]
    assert totals == [(21, False), (41, False), (exact, True)]
    after = await _list(world, replace(query, cursor=pages[0].next_cursor))
    assert (after.total, after.total_is_exact) == (None, False)


async def test_list_files_page_by_number_is_bounded(database: Database) -> None:
    with pytest.raises(InvalidRequest, match="nextCursor"):
        await _list(database, ListQuery(SERVICE, NOW, limit=100, page=101))
    assert (await _list(database, ListQuery(SERVICE, NOW, limit=100, page=100))).items == ()


@pytest.mark.parametrize("search", ["x", "PG", "日本"])
async def test_list_files_search_of_fewer_than_three_characters_is_too_broad(
    database: Database, search: str
) -> None:
    with pytest.raises(ListTooBroad, match="search: must have at least 3 characters"):
        await _list(database, ListQuery(SERVICE, NOW, search=search))


async def test_list_files_that_takes_too_long_is_too_broad_and_leaves_the_database_usable(
    world: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = (
        "WITH RECURSIVE n(v, seq) AS (SELECT 1, 1 UNION ALL SELECT v + 1, seq FROM n WHERE v < 1000000000) "
        "SELECT max(v), 1 FROM n"
    )
    monkeypatch.setattr(lists, "_DEADLINE_SECONDS", 0.5)
    monkeypatch.setattr(lists._List, "_merged", lambda *_, **__: slow)
    with pytest.raises(ListTooBroad, match="filter by fewer fields"):
        await _list(world, ListQuery(SERVICE, NOW))
    monkeypatch.undo()
    assert len((await _list(world, ListQuery(SERVICE, NOW))).items) == 20


async def test_list_files_limits_end_with_the_list(database: Database) -> None:
    """A statement after the list, in the same transaction or the next, has its own time and plans."""

    def work(connection: Connection) -> None:
        lists.list_files(connection, ListQuery(SERVICE, NOW))

    await database.read(work)
    if database.notifies:
        mode = text("SELECT current_setting('plan_cache_mode')")
        assert await database.read(lambda c: c.execute(mode).scalar_one()) == "auto"


async def test_list_files_reads_no_other_tenants_part_of_the_text_index(here: Desk) -> None:
    given = file(original_name="summer.jpg")
    await here.database.write(lambda c: files.insert_file(c, given))
    statement = text("SELECT rowid FROM files_fts WHERE files_fts MATCH :match")
    for tenant, expected in ((ACME, 1), (OTHER, 0)):
        match = f'tenant_code : "{tenant_code(tenant)}" AND search : "umm"'
        found = await here.database.read(lambda c, m=match: c.execute(statement, {"match": m}).all())
        assert len(found) == expected


@pytest.mark.parametrize("filters", FILTERS.values(), ids=FILTERS)
async def test_list_files_reads_every_table_by_an_index_on_sqlite(
    here: Desk, filters: dict[str, Any]
) -> None:
    def plans(connection: Connection) -> str:
        driver: Any = connection.connection.driver_connection
        ran: list[str] = []
        driver.set_trace_callback(ran.append)
        lists.list_files(connection, ListQuery(ANN, NOW, **filters))
        driver.set_trace_callback(None)
        return "\n".join(
            row[3] for each in ran if "files" in each for row in driver.execute(f"EXPLAIN QUERY PLAN {each}")
        )

    assert "SCAN files" not in (await here.database.read(plans)).replace("SCAN files_fts VIRTUAL", "")
