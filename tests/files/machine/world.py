"""A deployment in one event loop: every part of the files side and the edge, over any record and storage.

Real are the record, the storage, the gateway, the edge with its caches, and HTTP where clients speak it. Time
and lots are handed in; who looks into pictures reads what made-up pictures say of themselves.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from io import BytesIO, StringIO
from typing import Any
from urllib.parse import quote, urljoin

from aiohttp import ClientSession, DummyCookieJar, web
from aiohttp.test_utils import TestServer
from yarl import URL

from imgproxy.api.get_object import Files
from imgproxy.api.object_gateway import ObjectGateway
from imgproxy.cache.memory import MemoryTier
from imgproxy.cache.purge_epochs import PurgeEpochs
from imgproxy.cache.tiers import Tiers
from imgproxy.dialects import Grammar
from imgproxy.edge.images import Images, Policy
from imgproxy.edge.render import Recipe, Renderer
from imgproxy.edge.response_headers import Freshness
from imgproxy.edge.source_access import SourceAccess
from imgproxy.edge.source_cache import SourceCache
from imgproxy.engine.negative_cache import NegativeCache
from imgproxy.engine.worker_protocol import Encoding
from imgproxy.errors import BrokenImage
from imgproxy.files.auto_registration import AutoRegistration
from imgproxy.files.collections import CollectionLimits
from imgproxy.files.database import Database
from imgproxy.files.editing import FileEditor
from imgproxy.files.file_status import FileStatusCache
from imgproxy.files.finalize import ContentInspector, Finalizer
from imgproxy.files.id_generator import IdGenerator
from imgproxy.files.model import Upload
from imgproxy.files.multipart import MultipartUploads
from imgproxy.files.outbox import OutboxWorker, handlers
from imgproxy.files.reading import FileReader
from imgproxy.files.registration import Registrar
from imgproxy.files.retention import Retention
from imgproxy.files.streamed_uploads import StreamedUploads
from imgproxy.files.sweep import Findings, Sweep
from imgproxy.files.uploads import Uploads
from imgproxy.http.cors import Cors
from imgproxy.image.plan import Ceiling
from imgproxy.image.source import Key
from imgproxy.storage import Storage
from imgproxy.telemetry import AccessLog, Metrics
from tests.edge.conftest import CountingEngine
from tests.files.machine.faults import DoubtfulRecord, DoubtfulStorage, Faults
from tests.files.uploading import Clock, everything

URL_SECONDS = 900
_SIDES = re.compile(rb" (\d+)x(\d+) ")
_LARGEST = 10_000_000
_SMALL = 100_000


class Measure:
    """Tells the sides that a made-up picture says it has."""

    def __init__(self, storage: DoubtfulStorage) -> None:
        self._storage = storage

    async def inspect(self, key: Key, version: str, size: int) -> tuple[int, int] | None:
        head = await self._storage.head(key)
        assert (head.version, head.size) == (version, size)
        found = _SIDES.search(await everything(self._storage.read(key, end=100)))
        if found is None:
            raise BrokenImage("the picture ends too early")
        return int(found[1]), int(found[2])


class Front:
    """The caches in front of us, which remember what they were told to forget."""

    def __init__(self) -> None:
        self.forgot: list[Key] = []

    async def forget(self, key: Key) -> None:
        self.forgot.append(key)


class World:
    """What the machine can reach."""

    def __init__(self, database: Database, storage: Storage, clock: Clock, *, auto: bool = False) -> None:
        """`auto` publishes what nobody registers."""
        self.clock = clock
        self.faults = Faults()
        self.database = DoubtfulRecord(database, self.faults)
        self.storage = DoubtfulStorage(storage, self.faults)
        self.front, self.engine = Front(), CountingEngine()
        self.ids = IdGenerator(clock, random.Random(1).randbytes)  # noqa: S311 - so that a run can be repeated
        self.access_log = AccessLog(StringIO())
        limits = CollectionLimits(self.database, clock=clock)
        inspector = ContentInspector(self.storage, Measure(self.storage))
        same: dict[str, Any] = {"database": self.database, "ids": self.ids}
        stored: dict[str, Any] = {**same, "objects": self.storage}
        finalizer = Finalizer(**stored, inspector=inspector, limits=limits, tell=self.tell)
        self.publisher = AutoRegistration(**stored, limits=limits, finalizer=finalizer)
        self._auto = auto
        self.access = FileStatusCache(
            self.database, timer=clock.seconds, publish=self.publisher.publish if auto else None
        )
        self.renderer = self._renderer()
        self.uploads = Uploads(**stored, limits=limits, ttl=URL_SECONDS)
        self.multipart = MultipartUploads(**stored, limits=limits, ttl=URL_SECONDS, arrived=self.arrived)
        self.registrar = Registrar(**same, finalizer=finalizer, tell=self.tell)
        self.streams = StreamedUploads(**stored, inspector=inspector, limits=limits, finalizer=finalizer)
        self.changes = FileEditor(**same, tell=self.tell)
        url_signer = getattr(self.storage, "url_signer", None)
        self.reading = FileReader(
            database=self.database, objects=self.storage, clock=clock, ttl=URL_SECONDS, url_signer=url_signer
        )
        self.outbox = OutboxWorker(self.database, handlers(self.storage, self.front), clock=clock)
        self.retention = Retention(self.database, ids=self.ids, rescue=self._rescue if auto else None)

    async def tell(self, key: Key) -> None:
        """As `app` has it told: whoever remembers the record, then whoever keeps pictures."""
        self.access.changed(key)
        await self.renderer.purge(key)

    async def arrived(self, place: Key) -> bool:
        """Be told that something was written."""
        return self._auto and await self.publisher.arrived(place)

    async def _rescue(self, upload: Upload) -> bool:
        return await self.publisher.publish(upload.key)

    async def sweep(self, *, dry: bool) -> Findings:
        return await Sweep(database=self.database, objects=self.storage, ids=self.ids, dry=dry).run()

    async def put(self, url: str, body: bytes, content_type: str | None = None) -> tuple[int, str]:
        """Send bytes as a client does; return the status and the ETag."""
        headers = {} if content_type is None else {"Content-Type": content_type}
        sent = BytesIO(body) if len(body) > _SMALL else body  # aiohttp warns of larger bytes
        async with self._session.put(self._absolute(url), data=sent, headers=headers) as answer:
            return answer.status, answer.headers.get("ETag", "")

    async def get(self, url: str) -> tuple[int, bytes]:
        """Ask for a URL that somebody was given."""
        async with self._session.get(self._absolute(url)) as answer:
            return answer.status, await answer.read()

    async def picture(self, key: str, *, width: int = 10) -> tuple[int, bytes]:
        """Ask the edge."""
        return await self.get(f"/{width}x10/filters:format(jpeg)/{quote(key)}")

    def routes(self) -> list[web.RouteDef]:
        """The gateway, if the storage needs one, and the edge."""
        images = Images(
            grammar=Grammar(),
            signer=None,
            policy=Policy(True, (), Freshness(3600, 300, 86_400)),
            renderer=self.renderer,
            metrics=Metrics(),
            access_log=self.access_log,
            clock=self.clock.seconds,
        )
        edge = web.route("*", "/{target:(?s:.*)}", images.handle)
        if not hasattr(self.storage, "url_signer"):
            return [edge]
        gateway = ObjectGateway(
            Files(self.access, self.storage),
            url_signer=self.storage.url_signer,
            sink=self.storage,
            cors=Cors(()),
            access_log=self.access_log,
            clock=self.clock.seconds,
            arrived=self.arrived,
        )
        return [*gateway.routes(), edge]

    @asynccontextmanager
    async def open(self) -> AsyncIterator[World]:
        """Begin to listen."""
        application = web.Application(client_max_size=0)
        application.router.add_routes(self.routes())
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.renderer.close)
            stack.push_async_callback(self.access.close)
            stack.push_async_callback(self.publisher.close)
            await self.access.start()
            self._server = await stack.enter_async_context(TestServer(application))
            names = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
            session = ClientSession(cookie_jar=DummyCookieJar(), skip_auto_headers=names)
            self._session = await stack.enter_async_context(session)
            yield self

    def _absolute(self, url: str) -> URL:
        return URL(urljoin(str(self._server.make_url("/")), url), encoded=True)

    def _renderer(self) -> Renderer:
        return Renderer(
            source_access=SourceAccess(
                self.access,
                self.storage,
                PurgeEpochs(),
                unregistered=True,
                ttl=60,
                timer=self.clock.seconds,
                stale=0,
            ),
            sources=SourceCache(self.storage, limit=_LARGEST, keep=_LARGEST),
            tiers=Tiers([MemoryTier(_LARGEST)]),
            engine=self.engine,
            negative_cache=NegativeCache(seconds=60, entries=100, timer=self.clock.seconds),
            recipe=Recipe(Encoding(), Ceiling(1_000_000, 10, 8192), "made up"),
            metrics=Metrics(),
        )


def clock_of_today() -> Clock:
    """Storage has a clock of its own, and both must agree."""
    return Clock(time.time_ns() // 1_000_000)
