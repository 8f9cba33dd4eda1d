"""Whatever clients, workers and time do, in any order: files stay what they are, and are seen by who may.

`make soak` does as much on real PostgreSQL with a real S3 server: `tests/soak/test_machine.py`.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from imgproxy.files.database import open_database
from imgproxy.files.database_url import SqliteUrl
from imgproxy.storage.local import LocalStorage
from imgproxy.storage.signed_url import UrlSigner
from tests.files.machine import FilesMachine, PublishingMachine
from tests.files.machine.world import World, clock_of_today

_RUNS, _STEPS = 10, 50
_QUIET = settings(
    max_examples=_RUNS,
    stateful_step_count=_STEPS,
    database=None,
    deadline=None,
    suppress_health_check=[*HealthCheck],
)


@pytest.fixture(scope="session")
def sqlite_record(_sqlite_template: Path) -> Path:
    return _sqlite_template


@asynccontextmanager
async def on_sqlite(record: Path, *, auto: bool) -> AsyncIterator[World]:
    """A deployment in a folder of its own."""
    with TemporaryDirectory(prefix="imgproxy-machine-") as folder:
        path = Path(folder)
        shutil.copy(record, path / "record.db")
        clock = clock_of_today()
        database = await open_database(SqliteUrl(path / "record.db"))
        storage = LocalStorage(path / "objects", UrlSigner(b"secret" * 8, clock=clock.seconds))
        try:
            async with World(database, storage, clock, auto=auto).open() as world:
                yield world
        finally:
            await storage.close()
            await database.close()


@pytest.mark.parametrize("number", range(5))
def test_files_are_what_the_model_says_and_every_law_holds(number: int, sqlite_record: Path) -> None:
    class Machine(FilesMachine):
        def place(self) -> AbstractAsyncContextManager[World]:
            return on_sqlite(sqlite_record, auto=False)

    run_state_machine_as_test(seed(number)(Machine), settings=_QUIET)
    assert Machine.steps > (_RUNS - 1) * _STEPS  # the first run is one step


def test_the_same_holds_where_nobody_needs_to_register(sqlite_record: Path) -> None:
    class Machine(PublishingMachine):
        def place(self) -> AbstractAsyncContextManager[World]:
            return on_sqlite(sqlite_record, auto=True)

    run_state_machine_as_test(seed(0)(Machine), settings=_QUIET)
    assert Machine.steps > (_RUNS - 1) * _STEPS
