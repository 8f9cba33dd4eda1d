"""An edge whose every other part is in memory: storage, records, clock, and an engine that only counts."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient
from yarl import URL

from imgproxy.cache.memory import MemoryTier
from imgproxy.cache.purge_epochs import PurgeEpochs
from imgproxy.cache.tiers import Tiers
from imgproxy.dialects import Grammar
from imgproxy.dialects.signature import Signer
from imgproxy.edge.client_concurrency import ClientConcurrency
from imgproxy.edge.images import Images, Policy
from imgproxy.edge.render import Recipe, Renderer
from imgproxy.edge.response_headers import Freshness
from imgproxy.edge.source_access import SourceAccess
from imgproxy.edge.source_cache import SourceCache
from imgproxy.engine.negative_cache import NegativeCache
from imgproxy.engine.pool import Result
from imgproxy.engine.worker_protocol import Encoding, Job, Rendered
from imgproxy.errors import ImgproxyError
from imgproxy.files.file_status import MemoryFileStatuses
from imgproxy.files.model import Visibility
from imgproxy.http.client_address import Clients
from imgproxy.image.formats import Format
from imgproxy.image.plan import Ceiling
from imgproxy.image.source import Key, parse_key
from imgproxy.purge.endpoint import PurgeEndpoint
from imgproxy.storage.memory import MemoryStorage
from imgproxy.telemetry import AccessLog, Metrics
from imgproxy.waiters import Waiters

START = 1_800_000_000.0
"""The instant at which every test begins."""


class CountingEngine:
    """Answers with the source image's bytes and the width asked for; counts, and fails or waits when told."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.error: ImgproxyError | None = None
        self.damaged = False
        self.hold: asyncio.Event | None = None
        self.reached = asyncio.Event()

    async def run(self, job: Job, original: int | None, overlays: Sequence[int], waiters: Waiters) -> Result:
        self.jobs.append(job)
        self.reached.set()
        read = b"plain" if original is None else os.pread(original, 1_000, 0)
        if self.hold is not None:
            await self.hold.wait()
        if self.error is not None:
            raise self.error
        body = b"%s at %d" % (read, job.transform.width)
        made = job.output.candidates[0] if job.output.candidates else Format.JPEG
        rendered = Rendered(made, 1, 1, 1, len(body), 0.0, 0.0, {"format": made.value} if job.meta else {})
        rendered = replace(rendered, damaged=self.damaged)
        return Result(rendered, body, 0.0, 0.0)


@dataclass
class Clock:
    """Time that stands still until a test moves it."""

    now: float = START

    def __call__(self) -> float:
        return self.now


@dataclass
class Edge:
    """What a test can reach."""

    client: TestClient[web.Request, web.Application]
    storage: MemoryStorage
    access: MemoryFileStatuses
    engine: CountingEngine
    clock: Clock
    metrics: Metrics
    log: io.StringIO
    access_log: AccessLog
    source_access: SourceAccess

    async def get(self, target: str, *, method: str = "GET", **headers: str) -> ClientResponse:
        """Ask for a raw target; keyword arguments are headers, with `_` for `-`."""
        url = URL(f"{self.client.make_url('/').origin()}{target}", encoded=True)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await self.client.session.request(
            method, url, headers=named, skip_auto_headers=("Accept", "Accept-Encoding"), allow_redirects=False
        )
        await answer.read()
        return answer

    async def store(self, name: str, body: bytes = b"original", *, public: bool = True) -> Key:
        """Put an object, and register it."""
        key = parse_key(name)

        async def chunks() -> AsyncIterator[bytes]:
            yield body

        head = await self.storage.put(key, chunks())
        visibility = Visibility.PUBLIC if public else Visibility.PRIVATE
        self.access.register(key, visibility, version=head.version, modified=START - 1_000, tenant="acme")
        return key


@dataclass(frozen=True)
class Choices:
    """How an edge is set up."""

    unsigned: bool = True
    unregistered: bool = False
    signer: Signer | None = None
    automatic: tuple[Format, ...] = (Format.AVIF, Format.WEBP)
    grammar: Grammar = field(default_factory=Grammar)
    storage: MemoryStorage | None = None
    purge_secret: str = ""
    stale: float = 0
    memory: int = 1_000_000
    concurrency: int = 0
    damaged: float | None = 300
    proxies: tuple[str, ...] = ()


MakeEdge = Callable[..., Awaitable[Edge]]


@pytest.fixture
async def make_edge(aiohttp_client: Any) -> MakeEdge:
    """Set up an edge by `Choices`, given as keyword arguments."""

    async def make(**chosen: Any) -> Edge:
        choices = Choices(**chosen)
        storage, access = choices.storage or MemoryStorage(), MemoryFileStatuses()
        engine, clock, metrics, log = CountingEngine(), Clock(), Metrics(), io.StringIO()
        access_log = AccessLog(log)
        source_access = SourceAccess(
            access,
            storage,
            PurgeEpochs(),
            unregistered=choices.unregistered,
            ttl=60,
            timer=clock,
            stale=choices.stale,
        )
        renderer = Renderer(
            source_access=source_access,
            sources=SourceCache(storage, limit=100_000, keep=1_000_000),
            tiers=Tiers([MemoryTier(choices.memory)], clock=clock),
            engine=engine,
            negative_cache=NegativeCache(seconds=60, entries=100, timer=clock),
            recipe=Recipe(Encoding(), Ceiling(1_000_000, 10, 8192), "test", damaged_seconds=choices.damaged),
            metrics=metrics,
            clock=clock,
        )
        images = Images(
            grammar=choices.grammar,
            signer=choices.signer,
            policy=Policy(choices.unsigned, choices.automatic, Freshness(3600, 300, 86_400)),
            renderer=renderer,
            metrics=metrics,
            access_log=access_log,
            clock=clock,
            purge=PurgeEndpoint(renderer.purge, secret=choices.purge_secret)
            if choices.purge_secret
            else None,
            clients=Clients([ip_network(each) for each in choices.proxies]),
            concurrency=ClientConcurrency(choices.concurrency),
        )
        application = web.Application()
        application.router.add_route("*", "/{target:(?s:.*)}", images.handle)
        application.on_cleanup.append(lambda _: renderer.close())
        client = await aiohttp_client(application)
        return Edge(client, storage, access, engine, clock, metrics, log, access_log, source_access)

    return make


@pytest.fixture
async def edge(make_edge: MakeEdge) -> Edge:
    """An edge with default choices and one public photo, `photo.jpg`."""
    edge = await make_edge()
    await edge.store("photo.jpg")
    return edge
