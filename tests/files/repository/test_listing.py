"""Promises of `imgproxy.files.repository.listing`: every list is what a loop over all files would give."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, islice
from typing import Any

import pytest

from imgproxy.errors import InvalidRequest
from imgproxy.files.cursor import Sort
from imgproxy.files.database import Connection, Database
from imgproxy.files.model import File, FileState, Owner, Share, Visibility
from imgproxy.files.policy import Action, allows
from imgproxy.files.principal import Kind, Principal
from imgproxy.files.repository import files, listing, search
from imgproxy.files.repository.index import folded
from imgproxy.files.repository.reach import ListQuery
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
    "one letter": {"search": "x"},
    "two letters": {"search": "PG"},
    "wildcard": {"search": "%_"},
    "percent": {"search": "0% w"},
    "backslash": {"search": "\\b"},
    "umlaut": {"search": "ÄPF"},
    "sharp s": {"search": "STRASSE"},
    "ideograph": {"search": "本"},
    "compatibility": {"search": "DŽ"},
    "letters in another order": {"search": "tac"},
    "all grams and not the text": {"search": "cat.jpg on 100% wool"},
    "quote": {"search": "'\""},
    "nul": {"search": "\0"},
    "half a surrogate": {"tag": "\ud800"},
    "several": {"mime_type": "image/jpeg", "collection": "images", "tag": "red", "search": "c"},
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
    return sorted(found, key=lambda each: (getattr(each, column), each.id), reverse=query.descending)


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


@pytest.mark.parametrize("principal", PRINCIPALS.values(), ids=PRINCIPALS)
async def test_the_first_page_and_the_total_are_what_a_loop_finds(
    world: Database, principal: Principal
) -> None:
    for query in _queries(principal):
        expected = _expected(query)
        page = await world.read(lambda c, query=query: listing.list_files(c, query))
        assert page.items == tuple(expected[:7]), query
        assert (page.total, page.total_is_exact) == (len(expected), True), query
        assert page.has_next == (len(expected) > 7), query


@pytest.mark.parametrize("how", ["page", "cursor"])
@pytest.mark.parametrize("principal", [SERVICE, ANN], ids=["service", "ann"])
async def test_pages_put_together_are_the_whole_list(world: Database, principal: Principal, how: str) -> None:
    def all_pages(connection: Connection, query: ListQuery) -> list[File]:
        found: list[File] = []
        while True:
            page = listing.list_files(connection, query)
            found += page.items
            if not page.has_next:
                assert page.next_cursor is None
                return found
            further = {"cursor": page.next_cursor} if how == "cursor" else {"page": query.page + 1}
            query = replace(query, **further)

    for query in _queries(principal, orders=1, limit=25):
        assert await world.read(lambda c, query=query: all_pages(c, query)) == _expected(query), query


@pytest.mark.parametrize("principal", PRINCIPALS.values(), ids=PRINCIPALS)
async def test_many_matches_give_the_same_page_as_few(
    world: Database, principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "EXACT", 3)  # so that most lists walk, and some have to gather after all
    monkeypatch.setattr(listing, "FEW", 12)
    monkeypatch.setattr(search, "FEW", 12)
    for query in _queries(principal):
        expected = _expected(query)
        page = await world.read(lambda c, query=query: listing.list_files(c, query))
        assert page.items == tuple(expected[:7]), query
        assert (page.total, page.total_is_exact) == (min(len(expected), 3), len(expected) <= 3), query


_FAR = 10**6
WAYS = {
    "all looked at": {"_TRIED": _FAR},
    "all looked at in the end": {"_TRIED": 1, "_SIGNED": _FAR, "_LOOKED": _FAR, "_SOME": 0},
    "more looked at where many are met": {"_TRIED": 30, "_SIGNED": 60, "_LOOKED": 60},
    "some looked at": {"_TRIED": 5, "_SIGNED": 20, "_LOOKED": 20, "_SOME": 0, "_DEEP": 0},
    "ranges of filters": {"_TRIED": 1, "_SIGNED": 0, "_LOOKED": _FAR, "_SOME": 0, "_DEEP": 0},
    "gathered": {"_TRIED": 1, "_SIGNED": 0, "_LOOKED": 0},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_every_way_of_a_search_gives_the_same_pages(
    here: Desk, monkeypatch: pytest.MonkeyPatch, way: dict[str, int]
) -> None:
    for name, value in {"FEW": 2, **way}.items():
        monkeypatch.setattr(search, name, value)
    await here.database.write(_fill)
    for query in (*_queries(SERVICE, orders=2), *_queries(ANN, orders=2)):
        expected, found = _expected(query), []
        page = await here.database.read(lambda c, query=query: listing.list_files(c, query))
        found += page.items
        if page.next_cursor is not None:
            further = replace(query, cursor=page.next_cursor, limit=100)
            found += (await here.database.read(lambda c, query=further: listing.list_files(c, query))).items
        assert found == expected[:107], query


@pytest.mark.parametrize(("number", "expected"), [(1, 3), (3, 6), (6, 3)])
async def test_a_total_is_at_least_what_pages_have_shown(
    here: Desk, monkeypatch: pytest.MonkeyPatch, number: int, expected: int
) -> None:
    monkeypatch.setattr(search, "FEW", 2)
    monkeypatch.setattr(search, "_LOOKED_AT_TO_COUNT", 2)
    made = [file(size=at) for at in range(10)]
    await here.database.write(lambda c: [files.insert_file(c, each) for each in made])
    query = ListQuery(SERVICE, NOW, search="cat", sort=Sort.SIZE, limit=2, page=number)
    page = await here.database.read(lambda c: listing.list_files(c, query))
    assert page.total == expected


async def test_a_page_by_number_is_bounded(database: Database) -> None:
    with pytest.raises(InvalidRequest, match="nextCursor"):
        await database.read(lambda c: listing.list_files(c, ListQuery(SERVICE, NOW, limit=100, page=101)))
    last = await database.read(lambda c: listing.list_files(c, ListQuery(SERVICE, NOW, limit=100, page=100)))
    assert last.items == ()
