"""Promises of `imgproxy.files.repository.orphans`."""

from __future__ import annotations

from imgproxy.files.database import Connection, Database
from imgproxy.files.model import Orphan
from imgproxy.files.repository import orphans
from imgproxy.image.source import Key
from tests.files.samples import NOW

A, B, C = (Orphan(Key(name), NOW, 5_000_000_000) for name in "abc")


async def test_an_orphan_that_is_seen_again_keeps_the_first_time(database: Database) -> None:
    await database.write(lambda c: orphans.insert_orphan(c, A))
    await database.write(lambda c: orphans.insert_orphan(c, Orphan(A.object_key, NOW + 5, 1)))
    assert await database.read(lambda c: orphans.orphan_by_key(c, A.object_key)) == A


async def test_orphans_are_listed_page_by_page_and_removed(database: Database) -> None:
    def work(connection: Connection) -> None:
        for each in (C, A, B):
            orphans.insert_orphan(connection, each)

    await database.write(work)
    assert await database.read(lambda c: orphans.list_orphans(c, limit=2)) == [A, B]
    assert await database.read(lambda c: orphans.list_orphans(c, after="b")) == [C]
    await database.write(lambda c: orphans.remove_orphans(c, [A.object_key, C.object_key]))
    assert await database.read(orphans.list_orphans) == [B]
