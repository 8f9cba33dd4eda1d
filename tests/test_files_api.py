"""The files API put together: what a deployment's settings make of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from imgproxy.api.registry import GROUPS
from imgproxy.cli import keys
from imgproxy.errors import NotFound
from imgproxy.files.database import open_database
from imgproxy.files.database_url import SqliteUrl
from imgproxy.files.model import TenantId
from imgproxy.files.repository.outbox import add_task
from imgproxy.files_api import (
    FilesBackend,
    assemble_files,
    endpoints,
    make_front,
    make_outbox,
    make_service,
    trust,
)
from imgproxy.image.source import Key
from imgproxy.settings import Settings
from imgproxy.storage.memory import MemoryStorage
from imgproxy.telemetry import AccessLog, Metrics
from tests.files import samples
from tests.files.keeping import until
from tests.files.uploading import Measure, bytes_of

SECRET = "a secret of at least thirty-two bytes"
Client = TestClient[web.Request, web.Application]


def backend() -> FilesBackend:
    """The rest of a server."""
    storage = MemoryStorage()

    async def tell(_: Key) -> None: ...

    return FilesBackend(storage, storage.url_signer, Measure(storage), tell)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(database=SqliteUrl(tmp_path / "imgproxy.db"), jwt_secret=SECRET)


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[Client]:
    log = AccessLog(StringIO())
    async with assemble_files(settings, backend(), metrics=Metrics(), access_log=log) as files_api:
        application = web.Application()
        application.router.add_routes(files_api.routes)
        async with TestClient(TestServer(application)) as made:
            yield made


async def test_every_endpoint_that_is_told_of_is_served_and_no_other(settings: Settings) -> None:
    told = [each for group in GROUPS for each in group.endpoints]
    database = await open_database(settings.database)
    outbox = make_outbox(database, backend(), make_front(settings), Metrics())
    served = endpoints(make_service(settings, database, backend(), outbox))
    await database.close()
    assert [bound.endpoint for bound in served] == told


async def test_what_was_promised_is_done_and_counted(settings: Settings) -> None:
    metrics, log, there = Metrics(), AccessLog(StringIO()), backend()
    key = Key("files/acme/1/a")
    await there.objects.put(key, bytes_of(b"gone soon"))
    async with assemble_files(settings, there, metrics=metrics, access_log=log) as files_api:
        task = samples.task(payload={"key": key}, not_before=0)
        await files_api.database.write(lambda record: add_task(record, task))
        done = b'imgproxy_outbox_tries_total{kind="delete",outcome="done"} 1.0'
        await until(lambda: done in metrics.text())
        with pytest.raises(NotFound):
            await there.objects.head(key)
    told = metrics.text()
    assert b"\nimgproxy_outbox_waiting " in told
    assert b"\nimgproxy_outbox_dead 0.0" in told


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
    log = AccessLog(StringIO())
    first, second = (assemble_files(settings, backend(), metrics=Metrics(), access_log=log) for _ in range(2))
    async with first, second as opened:
        await opened.database.check()
    key, _ = await keys.create_key(settings, "pk", TenantId("acme"))
    assert key.startswith("pk_")
