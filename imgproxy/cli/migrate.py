"""`imgproxy migrate`: the tables of the record, as this version needs them."""

from __future__ import annotations

import argparse

import uvloop

from imgproxy.files import migrations
from imgproxy.files.database import open_database
from imgproxy.settings import read


def run(_asked: argparse.Namespace) -> int:
    """Bring the tables to this version; what is there already stays."""
    address = read().database

    async def migrate() -> None:
        database = await open_database(address)
        try:
            await database.migrate()
        finally:
            await database.close()

    uvloop.run(migrate())
    print(f"the record of files is at version {migrations.newest()}")
    return 0
