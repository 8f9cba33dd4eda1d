"""Promises of `imgproxy.files.repository.files`."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from imgproxy.errors import Changed, KeyExists
from imgproxy.files.database import Connection, Database
from imgproxy.files.model import File, FileState, Share, Visibility
from imgproxy.files.repository import files
from tests.files.samples import ACME, NOW, OTHER, file

FULL = file(
    width=4000,
    height=3000,
    category="cats",
    description="A cat — Привет",
    alt="ca\tt",
    related_entity_id="post-1",
    tags=("b", "a"),
    metadata={"nested": {"list": [1, 2.5, None, "\u0000", "日本"]}},
    size=5_000_000_000_000,
    deleted_at=NOW,
    purge_after=NOW + 1,
    state=FileState.DELETED,
)
SHARED = file()
ANN, EDITORS = Share("user", "ann", expires_at=NOW), Share("role", "editor")


@pytest.mark.parametrize("given", [file(), FULL], ids=["least", "full"])
async def test_what_is_kept_comes_back_the_same(database: Database, given: File) -> None:
    await database.write(lambda c: files.insert_file(c, given))
    assert await database.read(lambda c: files.file_by_id(c, ACME, given.id)) == given
    assert await database.read(lambda c: files.file_by_key(c, given.key)) == given


async def test_another_tenants_file_is_not_there(database: Database) -> None:
    given = file()
    await database.write(lambda c: files.insert_file(c, given))
    assert await database.read(lambda c: files.file_by_id(c, OTHER, given.id)) is None


@pytest.mark.parametrize("same", ["id", "key", "object_key"])
async def test_no_two_files_share_a_name_and_the_transaction_goes_on(database: Database, same: str) -> None:
    first, third = file(), file()
    second = replace(file(), **{same: getattr(first, same)})

    def work(connection: Connection) -> None:
        files.insert_file(connection, first)
        with pytest.raises(KeyExists):
            files.insert_file(connection, second)
        files.insert_file(connection, third)

    await database.write(work)
    assert await database.read(lambda c: files.file_by_id(c, ACME, third.id)) == third


async def test_a_change_raises_the_row_version_and_keeps_the_rest(database: Database) -> None:
    before = file()
    await database.write(lambda c: files.insert_file(c, before))
    wanted = replace(before, visibility=Visibility.PRIVATE, tags=("x",), metadata={"a": 1}, generation=2)
    after = await database.write(lambda c: files.update_file(c, before, wanted))
    assert after == replace(wanted, row_version=2)
    assert await database.read(lambda c: files.file_by_id(c, ACME, before.id)) == after


async def test_of_many_changes_to_one_version_one_wins(database: Database) -> None:
    before = file()
    await database.write(lambda c: files.insert_file(c, before))

    async def change(name: str) -> Any:
        return await database.write(
            lambda c: files.update_file(c, before, replace(before, original_name=name))
        )

    done = await asyncio.gather(*(change(str(each)) for each in range(6)), return_exceptions=True)
    won = [each for each in done if isinstance(each, File)]
    assert [type(each) for each in done if not isinstance(each, File)] == [Changed] * 5
    assert [await database.read(lambda c: files.file_by_id(c, ACME, before.id))] == won


async def test_another_tenants_file_cannot_be_changed(database: Database) -> None:
    given = file()
    await database.write(lambda c: files.insert_file(c, given))
    theirs = replace(given, tenant=OTHER)
    with pytest.raises(Changed):
        await database.write(lambda c: files.update_file(c, theirs, replace(theirs, alt="x")))


async def test_files_whose_retention_has_ended_are_listed_oldest_first_page_by_page(
    database: Database,
) -> None:
    due = [
        file(state=FileState.DELETED, purge_after=NOW + each // 2, tenant=(ACME, OTHER)[each % 2])
        for each in range(6)
    ]
    others = [
        file(state=FileState.DELETED, purge_after=NOW + 4),
        file(),
        file(state=FileState.PURGED, purge_after=NOW),
    ]

    def work(connection: Connection) -> None:
        for each in (*reversed(due), *others):
            files.insert_file(connection, each)

    await database.write(work)
    first = await database.read(lambda c: files.files_to_purge(c, now=NOW + 3, limit=4))
    rest = await database.read(lambda c: files.files_to_purge(c, now=NOW + 3, after=first[-1]))
    assert [*first, *rest] == sorted(due, key=lambda each: (each.purge_after, each.id))


async def test_replace_shares_replaces_all_shares(database: Database) -> None:
    await database.write(lambda c: files.insert_file(c, SHARED))
    await database.write(lambda c: files.replace_shares(c, ACME, SHARED.id, [ANN]))
    await database.write(lambda c: files.replace_shares(c, ACME, SHARED.id, [ANN, EDITORS]))
    assert await database.read(lambda c: files.shares_of(c, ACME, SHARED.id)) == (EDITORS, ANN)


async def test_replace_shares_of_one_principal_keeps_the_last(database: Database) -> None:
    later = Share("user", "ann", expires_at=NOW + 5)
    await database.write(lambda c: files.insert_file(c, SHARED))
    await database.write(lambda c: files.replace_shares(c, ACME, SHARED.id, [ANN, later]))
    assert await database.read(lambda c: files.shares_of(c, ACME, SHARED.id)) == (later,)


async def test_remove_shares_leaves_other_files_and_tenants(database: Database) -> None:
    others, another = file(tenant=OTHER), file()

    def work(connection: Connection) -> None:
        for each, shares in ((SHARED, [ANN]), (others, [EDITORS]), (another, [EDITORS])):
            files.insert_file(connection, each)
            files.replace_shares(connection, each.tenant, each.id, shares)
        files.remove_shares(connection, ACME, SHARED.id)
        files.remove_shares(connection, ACME, others.id)

    await database.write(work)
    assert await database.read(lambda c: files.shares_of(c, ACME, SHARED.id)) == ()
    assert await database.read(lambda c: files.shares_of(c, OTHER, others.id)) == (EDITORS,)
    assert await database.read(lambda c: files.shares_of(c, ACME, another.id)) == (EDITORS,)
