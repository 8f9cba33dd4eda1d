"""Promises of `imgproxy.files.repository.shares`."""

from __future__ import annotations

from imgproxy.files.database import Connection, Database
from imgproxy.files.model import FileId, Share
from imgproxy.files.repository import shares
from tests.files.samples import ACME, NOW, OTHER

FILE = FileId("file")
ANN, EDITORS = Share("user", "ann", expires_at=NOW), Share("role", "editor")


async def test_shares_are_replaced_as_a_whole(database: Database) -> None:
    await database.write(lambda c: shares.replace_shares(c, ACME, FILE, [ANN]))
    await database.write(lambda c: shares.replace_shares(c, ACME, FILE, [ANN, EDITORS]))
    assert await database.read(lambda c: shares.shares_of(c, ACME, FILE)) == (EDITORS, ANN)


async def test_of_two_shares_with_one_principal_the_last_counts(database: Database) -> None:
    later = Share("user", "ann", expires_at=NOW + 5)
    await database.write(lambda c: shares.replace_shares(c, ACME, FILE, [ANN, later]))
    assert await database.read(lambda c: shares.shares_of(c, ACME, FILE)) == (later,)


async def test_shares_of_another_file_or_tenant_stay(database: Database) -> None:
    def work(connection: Connection) -> None:
        shares.replace_shares(connection, ACME, FILE, [ANN])
        shares.replace_shares(connection, OTHER, FILE, [EDITORS])
        shares.replace_shares(connection, ACME, FileId("another"), [EDITORS])
        shares.remove_shares(connection, ACME, FILE)

    await database.write(work)
    assert await database.read(lambda c: shares.shares_of(c, ACME, FILE)) == ()
    assert await database.read(lambda c: shares.shares_of(c, OTHER, FILE)) == (EDITORS,)
    assert await database.read(lambda c: shares.shares_of(c, ACME, FileId("another"))) == (EDITORS,)
