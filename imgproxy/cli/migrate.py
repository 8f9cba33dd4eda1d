"""`imgproxy migrate`: bring the tables of the database to this version."""

from __future__ import annotations

import argparse

import uvloop

from imgproxy.files import migrations
from imgproxy.files.database import open_database
from imgproxy.settings import read


def run(_asked: argparse.Namespace) -> int:
    """Bring the tables to this version; existing rows stay."""
    address = read().database

    async def migrate() -> None:
        database = await open_database(address)
        try:
            await database.migrate()
        finally:
            await database.close()

    uvloop.run(migrate())
    print(f"the database is at version {migrations.newest()}")
    return 0
