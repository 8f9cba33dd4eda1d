"""Promises of `imgproxy.files.repository.changes`: nothing that changes goes untold."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from imgproxy.files.database import Database
from imgproxy.files.repository import changes, files
from tests.files.samples import file


async def test_what_is_added_or_changed_since_a_mark_is_told(database: Database) -> None:
    old, changed = file(), file()
    await database.write(lambda c: files.insert_file(c, old))
    await database.write(lambda c: files.insert_file(c, changed))
    mark = await database.read(changes.current_mark)
    added = file()
    await database.write(lambda c: files.insert_file(c, added))
    await database.write(lambda c: files.update_file(c, changed, replace(changed, generation=2)))
    told = await database.read(lambda c: changes.changes_since(c, mark))
    assert sorted(told.keys) == sorted([added.key, changed.key])
    assert told.complete
    assert (await database.read(lambda c: changes.changes_since(c, told.mark))).keys == ()


async def test_what_the_edge_need_not_know_is_not_told(database: Database) -> None:
    given = file()
    await database.write(lambda c: files.insert_file(c, given))
    mark = await database.read(changes.current_mark)
    await database.write(lambda c: files.update_file(c, given, replace(given, alt="a cat")))
    assert (await database.read(lambda c: changes.changes_since(c, mark))).keys == ()


async def test_more_than_the_limit_is_told_to_be_incomplete(database: Database) -> None:
    mark = await database.read(changes.current_mark)
    for _ in range(3):
        await database.write(lambda c: files.insert_file(c, file()))
    told = await database.read(lambda c: changes.changes_since(c, mark, limit=2))
    assert (len(told.keys), told.complete) == (2, False)


async def test_writers_at_once_are_all_told_by_whoever_asks_meanwhile(database: Database) -> None:
    given = [file() for _ in range(30)]
    mark = await database.read(changes.current_mark)
    writing = [asyncio.ensure_future(database.write(lambda c, f=f: files.insert_file(c, f))) for f in given]
    told: set[str] = set()
    while not all(each.done() for each in writing):
        found = await database.read(lambda c, mark=mark: changes.changes_since(c, mark))
        told, mark = told | {*found.keys}, found.mark
    await asyncio.gather(*writing)
    found = await database.read(lambda c: changes.changes_since(c, mark))
    assert told | {*found.keys} == {each.key for each in given}
