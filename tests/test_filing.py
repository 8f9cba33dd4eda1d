"""The files side put together: what a deployment's settings make of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from imgproxy import credentials
from imgproxy.api.groups import GROUPS
from imgproxy.files.address import SqliteAddress
from imgproxy.files.database import open_database
from imgproxy.files.model import TenantId
from imgproxy.filing import Around, assemble_files, endpoints, make_incoming, trust
from imgproxy.image.source import Key
from imgproxy.settings import Settings
from imgproxy.storage.memory import MemoryStorage
from imgproxy.telemetry import AccessLog, Metrics
from tests.files.uploading import Measure

SECRET = "a secret of at least thirty-two bytes"
Client = TestClient[web.Request, web.Application]


def around() -> Around:
    """The rest of a server."""
    storage = MemoryStorage()

    async def tell(_: Key) -> None: ...

    return Around(storage, Measure(storage), tell)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(database=SqliteAddress(tmp_path / "imgproxy.db"), jwt_secret=SECRET)


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[Client]:
    log = AccessLog(StringIO())
    async with assemble_files(settings, around(), metrics=Metrics(), access_log=log) as filing:
        application = web.Application()
        application.router.add_routes(filing.routes)
        async with TestClient(TestServer(application)) as made:
            yield made


async def test_every_endpoint_that_is_told_of_is_served_and_no_other(settings: Settings) -> None:
    told = [each for group in GROUPS for each in group.endpoints]
    database = await open_database(settings.database)
    served = endpoints(make_incoming(settings, database, around()))
    await database.close()
    assert [bound.endpoint for bound in served] == told


async def test_the_documentation_is_served(client: Client) -> None:
    assert (await client.get("/v1/docs")).status == 200
    assert (await (await client.get("/v1/openapi.json")).json())["openapi"] == "3.1.0"


async def test_what_is_not_there_is_a_problem_of_the_api(client: Client) -> None:
    answer: dict[str, Any] = await (await client.get("/v1/nothing")).json()
    assert answer["error"]["code"] == "common/not-found"


def test_tokens_are_believed_as_the_settings_say() -> None:
    made = Settings(jwt_secret=SECRET, jwt_issuer="us", jwt_audience="files", jwt_tenant_claim="org")
    assert (trust(made).secret, trust(made).issuer) == (SECRET, "us")
    assert (trust(made).audience, trust(made).tenant_claim) == ("files", "org")


async def test_two_processes_may_open_a_new_record_at_once(settings: Settings) -> None:
    parts = {"metrics": Metrics(), "access_log": AccessLog(StringIO())}
    first, second = (assemble_files(settings, around(), **parts) for _ in range(2))  # type: ignore[arg-type]
    async with first, second as opened:
        await opened.database.check()
    key, _ = await credentials.create_key(settings, "pk", TenantId("acme"))
    assert key.startswith("pk_")
