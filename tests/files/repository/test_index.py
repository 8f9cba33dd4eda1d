"""Promises of `imgproxy.files.repository.index`."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text

from imgproxy.files.cursor import Sort
from imgproxy.files.database import Connection, Database
from imgproxy.files.model import File, FileState, Owner, TenantId, Visibility
from imgproxy.files.principal import Kind, Principal
from imgproxy.files.repository import files, index, listing
from imgproxy.files.repository.reach import ListQuery
from imgproxy.files.tables import file_search, file_tags
from tests.files.samples import ACME, NOW, OTHER, file
from tests.files.uploading import Desk

_TEXTS = st.text(max_size=30).map(index.folded)


@given(before=_TEXTS, words=_TEXTS.filter(bool), after=_TEXTS)
def test_a_text_has_all_grams_of_what_it_holds(before: str, words: str, after: str) -> None:
    needles = index.needles(ACME, Visibility.PUBLIC, words)
    assert needles <= index.grams(ACME, Visibility.PUBLIC, before + words + after)


@given(before=_TEXTS, words=_TEXTS, after=_TEXTS)
def test_a_text_has_all_bits_of_what_it_holds(before: str, words: str, after: str) -> None:
    bits = index.short_signature(words)
    assert index.short_signature(before + words + after) & bits == bits < 2**63


@pytest.mark.parametrize(
    ("tenant", "visibility"),
    [(OTHER, Visibility.PUBLIC), (ACME, Visibility.PRIVATE)],
    ids=["tenant", "sight"],
)
def test_no_gram_is_anothers(tenant: TenantId, visibility: Visibility) -> None:
    ours = index.grams(ACME, Visibility.PUBLIC, "a summer cat")
    assert ours & index.grams(tenant, visibility, "a summer cat") == frozenset()


@given(words=st.text(max_size=30))
def test_grams_fit_a_bigint(words: str) -> None:
    assert all(0 <= each < 2**63 for each in index.grams(ACME, Visibility.PUBLIC, words))


def test_texts_are_found_from_the_newest_to_the_oldest() -> None:
    assert index.seq_of(1, "z") < index.seq_of(2, "a")
    assert index.seq_of(2**42 - 1, "a") < 2**63


def _found(connection: Connection, words: str) -> int:
    query = ListQuery(Principal(ACME, Kind.SERVICE), NOW, search=words)
    return len(listing.list_files(connection, query).items)


def _kept(connection: Connection) -> tuple[int, int]:
    count = [len(connection.execute(select(each.c.file_id)).all()) for each in (file_search, file_tags)]
    return count[0], count[1]


async def test_a_file_is_found_by_what_it_says_now_and_not_by_what_it_said(database: Database) -> None:
    given = file(original_name="summer.jpg", tags=("red",))
    renamed = replace(given, original_name="winter.jpg", tags=("blue", "green"))
    await database.write(lambda c: files.insert_file(c, given))
    await database.write(lambda c: files.update_file(c, given, renamed))
    found = [await database.read(lambda c, w=w: _found(c, w)) for w in ("summer", "winter", "s", "wi")]
    assert found == [0, 1, 0, 1]
    assert await database.read(_kept) == (1, 2)


async def test_what_is_deleted_leaves_nothing_to_be_found_and_what_is_restored_is_found(
    database: Database,
) -> None:
    given = file(original_name="summer.jpg", tags=("red",))
    await database.write(lambda c: files.insert_file(c, given))
    gone = await database.write(
        lambda c: files.update_file(c, given, replace(given, state=FileState.DELETED))
    )
    assert await database.read(_kept) == (0, 0)
    await database.write(lambda c: files.update_file(c, gone, replace(gone, state=FileState.READY)))
    assert await database.read(_kept) == (1, 1)
    assert await database.read(lambda c: _found(c, "summer")) == 1


_CHANGES: dict[str, Any] = {
    "collection": "documents",
    "mime_type": "image/png",
    "category": "fruit",
    "owner": Owner("session", "ann"),
    "tags": ("red", "blue"),
    "visibility": Visibility.PRIVATE,
}


@pytest.mark.parametrize("name", _CHANGES)
async def test_a_file_is_found_by_the_facts_that_it_has_now_and_not_by_those_that_it_had(
    here: Desk, name: str
) -> None:
    given = file(category="pets", tags=("red", "green"))
    after = replace(given, **{name: _CHANGES[name]})
    await here.database.write(lambda c: files.insert_file(c, given))
    both = _words(given) | _words(after)
    assert await here.database.read(lambda c: _told(c, both)) == _words(given)
    await here.database.write(lambda c: files.update_file(c, given, after))
    assert await here.database.read(lambda c: _told(c, both)) == _words(after) != _words(given)


def _told(connection: Connection, words: set[str]) -> set[str]:
    """Which of these words FTS5 has."""
    asked = text("SELECT rowid FROM file_grams WHERE file_grams MATCH :word")
    return {word for word in words if connection.execute(asked, {"word": word}).all()}


def _words(given: File) -> set[str]:
    return set(index.fts_of(given, index.text_of(given)).split())


@pytest.mark.parametrize("sort", Sort)
async def test_a_file_is_where_it_is_now_in_every_order(database: Database, sort: Sort) -> None:
    facts = [{"size": at, "created_at": NOW + at, "updated_at": NOW + at} for at in range(2)]
    made = [file(original_name=f"summer{at}.jpg", **each) for at, each in enumerate(facts)]
    moved = replace(made[0], updated_at=NOW + 2, size=2, original_name="summer2.jpg", mime_type="image/png")
    query = ListQuery(Principal(ACME, Kind.SERVICE), NOW, search="summer", sort=sort)
    await database.write(lambda c: [files.insert_file(c, each) for each in made])
    moved = await database.write(lambda c: files.update_file(c, made[0], moved))
    touched = await database.write(
        lambda c: files.update_file(c, made[1], replace(made[1], updated_at=NOW + 3))
    )
    found = await database.read(lambda c: listing.list_files(c, query).items)
    expected = {Sort.CREATED_AT: (touched, moved), Sort.UPDATED_AT: (touched, moved)}.get(
        sort, (moved, touched)
    )
    assert found == expected


async def test_files_of_one_millisecond_are_all_found(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zlib, "crc32", lambda _: 2**32 - 1)  # as if all had drawn the last lot
    made = [file(original_name=f"summer{at}.jpg") for at in range(3)]
    await database.write(lambda c: [files.insert_file(c, each) for each in made])
    assert await database.read(lambda c: _found(c, "summer")) == 3
