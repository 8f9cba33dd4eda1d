"""`imgproxy sweep`: hold storage against the record."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable

import uvloop

from imgproxy.files.database import open_database
from imgproxy.files.id_generator import IdGenerator
from imgproxy.files.outbox import OutboxWorker, handlers
from imgproxy.files.sweep import Findings, Sweep
from imgproxy.files_api import make_front, milliseconds
from imgproxy.settings import Settings, read
from imgproxy.storage.signed_url import UrlSigner


def run(asked: argparse.Namespace) -> int:
    """Sweep and tell; status 1 says that bytes are missing."""
    found = uvloop.run(sweep(read(), dry=asked.dry_run, say=_say))
    for line in told(found, dry=asked.dry_run):
        print(line)
    return 1 if found.missing else 0


def _say(line: str) -> None:
    print(line, file=sys.stderr)


async def sweep(settings: Settings, *, dry: bool, say: Callable[[str], None]) -> Findings:
    """Sweep once; `say` is told how far it is. When dry, nothing changes, and nothing is removed."""
    storage = await settings.storage.connect(
        UrlSigner(settings.key_for("tickets"), clock=time.time), settings.hidden_prefixes
    )
    database = await open_database(settings.database)
    front = make_front(settings)
    try:
        await database.check()
        ids = IdGenerator(milliseconds, os.urandom)
        found = await Sweep(database=database, objects=storage, ids=ids, say=say, dry=dry).run()
        if not dry:
            await OutboxWorker(database, handlers(storage, front), clock=milliseconds).drain()
        return found
    finally:
        await front.close()
        await database.close()
        await storage.close()


def told(found: Findings, *, dry: bool) -> list[str]:
    """The findings in a person's words, a line each."""
    removed = "would be removed" if dry else "removed"
    lines = [
        f"{found.objects} objects looked at",
        f"{found.noted} that no record names, seen for the first time or less than an hour ago: they stay",
        f"{found.removed} that no record has named for an hour, {found.removed_bytes} bytes: {removed}",
        f"{found.aborted} uploads in parts that nobody goes on with: {removed}",
        f"{len(found.missing)} files whose bytes are not there",
    ]
    return [*lines, *(f"  {place.tenant} {place.file_id} {place.key}" for place in found.missing)]
