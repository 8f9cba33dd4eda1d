"""The machine of `tests/files/machine/` on real PostgreSQL with a real S3 server, for 50,000 steps."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from imgproxy.files.database import open_database
from imgproxy.files.database_url import PostgresUrl
from imgproxy.storage.s3 import S3Options
from imgproxy.storage.s3.storage import S3Storage
from tests.files.conftest import _postgres_record as _postgres_record
from tests.files.conftest import empty_record
from tests.files.conftest import postgres_record as postgres_record
from tests.files.machine import FilesMachine, PublishingMachine
from tests.files.machine.base import Base
from tests.files.machine.world import World, clock_of_today
from tests.postgres import Postgres
from tests.services import SeaweedFS
from tests.soak.conftest import Tell
from tests.storage.s3.conftest import quick_clients as quick_clients

_RUNS, _STEPS = 10, 100
_ALL = int(os.environ.get("MACHINE_STEPS", "50000"))
_FIRST = int(os.environ.get("MACHINE_SEED", str(time.time_ns())))
"""Each run walks other ways, and says which."""


@pytest.fixture
def bucket_of_machines(seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name, value in seaweedfs.owner.environment.items():
        monkeypatch.setenv(name, value)
    with seaweedfs.bucket() as name:
        yield name


@pytest.mark.soak
@pytest.mark.usefixtures("quick_clients")
@pytest.mark.parametrize("kind", [FilesMachine, PublishingMachine])
def test_files_are_what_the_model_says_over_postgresql_and_s3(
    postgres: Postgres,
    postgres_record: str,
    seaweedfs: SeaweedFS,
    bucket_of_machines: str,
    tell: Tell,
    kind: type[Base],
) -> None:
    numbers = count()

    class Machine(kind):  # type: ignore[misc, valid-type]
        strict_parts = False

        @asynccontextmanager
        async def place(self) -> AsyncIterator[World]:
            address = PostgresUrl(postgres.url(postgres_record))
            await empty_record(address)
            database = await open_database(address)
            options = S3Options(
                bucket_of_machines,
                prefix=f"machine-{next(numbers)}",
                region="us-east-1",
                endpoint=seaweedfs.endpoint,
                path_style=True,
            )
            storage = await S3Storage.connect(options)
            try:
                async with World(database, storage, clock_of_today(), auto=self.auto).open() as world:
                    yield world
            finally:
                await storage.close()
                await database.close()

    quiet = settings(
        max_examples=_RUNS,
        stateful_step_count=_STEPS,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=[*HealthCheck],
    )
    for number in count(_FIRST):
        run_state_machine_as_test(seed(number)(Machine), settings=quiet)
        tell(f"{Machine.steps:,} steps from seeds {_FIRST} to {number}")
        if Machine.steps >= _ALL:
            return
