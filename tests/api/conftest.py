"""The endpoints that bring files in, over a record in a file and objects in memory, beside the gateway."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, FormData, web
from aiohttp.test_utils import TestClient, TestServer

from imgproxy.api.auth import Authenticator
from imgproxy.api.get_object import Files
from imgproxy.api.idempotency import Once
from imgproxy.api.keys import Keys
from imgproxy.api.object_gateway import ObjectGateway
from imgproxy.api.registry import GROUPS
from imgproxy.api.routes import Door
from imgproxy.api.seal import Seal
from imgproxy.api.token import Tokens, Trust
from imgproxy.files.database import open_database
from imgproxy.files.database_url import SqliteUrl
from imgproxy.files.file_status import FileStatusCache
from imgproxy.files.reading import FileReader
from imgproxy.files.service import FilesService
from imgproxy.http.cors import Cors
from imgproxy.http.rate_limits import Rate
from imgproxy.storage.memory import MemoryStorage
from imgproxy.telemetry import AccessLog, Metrics
from tests.api import shell
from tests.files.keeping import Keeping
from tests.files.uploading import JPEG, Desk

PRESIGN = "/v1/files/presigned-url"
FILES = "/v1/files"


@dataclass
class Counter:
    """What a test can reach; it asks as olga, a user of acme, unless told."""

    client: TestClient[web.Request, web.Application]
    desk: Desk
    headers: dict[str, str] = field(default_factory=shell.user)
    keeping: Keeping = field(kw_only=True)

    async def post(self, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, Any]]:
        """Post JSON; header names are written with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.post(path, json=body, headers={**self.headers, **named}) as answer:
            return answer.status, await answer.json()

    async def presign(self, **wish: Any) -> dict[str, Any]:
        given = {"filename": "cat.jpg", "contentType": "image/jpeg", **wish}
        status, told = await self.post(PRESIGN, given)
        assert status == 200, told
        return told

    async def put(self, told: dict[str, Any], body: bytes = JPEG) -> ClientResponse:
        """Send bytes as a browser that was given a URL."""
        async with self.client.session.put(told["url"], data=body, headers=told["headers"]) as answer:
            await answer.read()
            return answer

    async def uploaded(self, **wish: Any) -> str:
        """The key of an upload whose bytes are there."""
        told = await self.presign(**wish)
        assert (await self.put(told)).status == 200
        return str(told["key"])

    async def register(self, key: str, **said: Any) -> tuple[int, dict[str, Any]]:
        given = {"s3Key": key, "originalName": "cat.jpg", "mimeType": "image/jpeg", "size": len(JPEG)}
        return await self.post(FILES, {**given, **said})

    async def send(self, form: FormData | bytes, **headers: str) -> tuple[int, dict[str, Any]]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.post(FILES, data=form, headers={**self.headers, **named}) as answer:
            return answer.status, await answer.json()


@pytest.fixture(scope="session")
def _record_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record with its tables, to be copied."""
    path = tmp_path_factory.mktemp("record") / "template.db"

    async def migrate() -> None:
        database = await open_database(SqliteUrl(path))
        await database.migrate()
        await database.close()

    asyncio.run(migrate())
    return path


@pytest.fixture
async def counter(_record_template: Path, tmp_path: Path) -> AsyncIterator[Counter]:
    """Files are taken here."""
    shutil.copy(_record_template, tmp_path / "record.db")
    database = await open_database(SqliteUrl(tmp_path / "record.db"))
    storage = MemoryStorage()
    desk = Desk(database, storage)
    clock, keys = shell.Clock(), shell.KeysInMemory()
    keys.add(shell.PUBLISHABLE, "acme")
    keys.add(shell.SECRET_KEY, "acme")
    keys.add(shell.ELSEWHERE, "other")
    access_log = AccessLog(StringIO())
    door = Door(
        authenticator=Authenticator(
            Keys(keys, clock=clock.milliseconds, timer=clock), Tokens(Trust(shell.SECRET), clock=clock)
        ),
        rate=Rate(0, timer=clock),
        cors=Cors(("*",)),
        once=Once(shell.RepliesInMemory(), seal=Seal(bytes(32)), clock=clock.milliseconds),
        metrics=Metrics(),
        access_log=access_log,
        clock=clock,
    )
    access = FileStatusCache(database, timer=time.monotonic)
    await access.start()
    gateway = ObjectGateway(
        Files(access, storage),
        url_signer=storage.url_signer,
        sink=storage,
        cors=Cors(("*",)),
        access_log=access_log,
        clock=clock,
    )
    application = web.Application(client_max_size=0)
    keeping = Keeping(desk)
    keeping.edges.append(access.changed)
    own = {"database": database, "objects": storage, "url_signer": storage.url_signer}
    service = FilesService(
        uploads=desk.uploads,
        multipart=desk.multipart,
        streams=desk.streams,
        registrar=desk.registrar,
        auto_registration=desk.publisher,
        reader=FileReader(**own, clock=desk.clock, ttl=3600),
        editor=keeping.changes,
        outbox=keeping.outbox,
    )
    bound = [each for group in GROUPS for each in group.bind(service)]
    application.router.add_routes(door.routes(bound))
    application.router.add_routes(gateway.routes())
    async with TestClient(TestServer(application)) as client:
        yield Counter(client, desk, keeping=keeping)
        await door.close()
    await access.close()
    await database.close()
