"""A storage that nobody can reach but through us, reached through us: the gateway, and a client of it."""

from __future__ import annotations

import io
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.test_utils import TestServer

from imgproxy.api.cors import Cors
from imgproxy.api.gateway import Depot, Gateway
from imgproxy.telemetry import AccessLog
from tests.storage.contract import Browser, browsing


@asynccontextmanager
async def listening(
    storage: Depot, *, origins: tuple[str, ...] = ("*",), patience: float = 30.0, log: AccessLog | None = None
) -> AsyncIterator[TestServer]:
    """Run a gateway."""
    gateway = Gateway(
        storage,
        cors=Cors(origins),
        access_log=log or AccessLog(io.StringIO()),
        clock=time.time,
        patience=patience,
    )
    application = web.Application(client_max_size=0)
    application.router.add_routes(gateway.routes())
    server = TestServer(application)
    await server.start_server()
    try:
        yield server
    finally:
        await server.close()


@asynccontextmanager
async def served(storage: Depot) -> AsyncIterator[Browser]:
    """Run a gateway, and lend a client whose URLs without a host are its."""
    async with listening(storage) as server, browsing(str(server.make_url("/"))) as browser:
        yield browser
