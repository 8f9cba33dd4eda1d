"""A storage that nobody can reach but through us, reached through us: the gateway, and a client of it."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

from aiohttp import ClientResponse, ClientSession, web
from aiohttp.test_utils import TestServer
from yarl import URL

from imgproxy.api.get_object import Files
from imgproxy.api.object_gateway import ObjectGateway
from imgproxy.api.put_object import PutStorage
from imgproxy.files.file_status import FileStatuses, MemoryFileStatuses
from imgproxy.http.cors import Cors
from imgproxy.storage.signed_url import UrlSigner
from imgproxy.telemetry import AccessLog
from tests.storage.contract import Browser, browsing


class Depot(PutStorage, Protocol):
    """A storage that issues signed URLs."""

    @property
    def url_signer(self) -> UrlSigner: ...


@asynccontextmanager
async def listening(
    storage: Depot,
    *,
    origins: tuple[str, ...] = ("*",),
    patience: float = 30.0,
    log: AccessLog | None = None,
    access: FileStatuses | None = None,
) -> AsyncIterator[TestServer]:
    """Run a gateway."""
    gateway = ObjectGateway(
        Files(access or MemoryFileStatuses(), storage),
        url_signer=storage.url_signer,
        sink=storage,
        cors=Cors(origins),
        access_log=log or AccessLog(io.StringIO()),
        clock=time.time,
        patience=patience,
    )
    application = web.Application(client_max_size=0)
    application.router.add_routes(gateway.routes())
    server = TestServer(application)
    await server.start_server(lingering_time=0.1)  # or each refused body takes 10 s
    try:
        yield server
    finally:
        await server.close()


@asynccontextmanager
async def served(storage: Depot) -> AsyncIterator[Browser]:
    """Run a gateway, and lend a client whose URLs without a host are its."""
    async with listening(storage) as server, browsing(str(server.make_url("/"))) as browser:
        yield browser


@asynccontextmanager
async def asking(
    server: TestServer, method: str, target: str, **options: Any
) -> AsyncIterator[ClientResponse]:
    """Ask for a target as it is written."""
    url = URL(str(server.make_url("/")).rstrip("/") + target, encoded=True)
    async with ClientSession() as session, session.request(method, url, **options) as answer:
        yield answer


async def raw(server: TestServer, request: bytes) -> bytes:
    """Send bytes, and return all that is answered until the connection ends."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    try:
        writer.write(request)
        async with asyncio.timeout(30):
            return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


def status(answer: bytes) -> int:
    """The status of a raw answer."""
    return int(answer.split()[1])
