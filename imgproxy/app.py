"""The composition root: the only place where concrete parts meet. Where X is chosen, it is chosen here.

Order of construction is order of dependency; closing goes backwards. No logic.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version

from aiohttp import web

from imgproxy.cache.disk import DiskTier
from imgproxy.cache.memory import MemoryTier
from imgproxy.cache.tiers import Tiers
from imgproxy.edge.admission import Admission
from imgproxy.edge.answer import Freshness
from imgproxy.edge.health import Health, metrics_route
from imgproxy.edge.images import Images, Policy
from imgproxy.edge.originals import Originals
from imgproxy.edge.purge import Purge
from imgproxy.edge.render import Recipe, Renderer
from imgproxy.engine.memo import FailureMemo
from imgproxy.engine.pool import Pool
from imgproxy.engine.protocol import Encoding
from imgproxy.errors import EngineFailed
from imgproxy.files.access import MemoryAccess
from imgproxy.image.plan import Ceiling
from imgproxy.settings import Settings
from imgproxy.storage import Storage
from imgproxy.storage.address import make
from imgproxy.telemetry import AccessLog, Metrics

_log = logging.getLogger(__name__)

_FAILURE_SECONDS = 60.0
_FAILURES = 16_384
_CACHED_FILES = 1_000_000  # inodes run out before bytes where pictures are small
_FREE_BYTES = 1024**3  # left to others on the cache's disk
_KEEPALIVE_SECONDS = 75.0  # longer than a proxy's 60, so that it is the proxy who closes idle connections
_DRAIN_SECONDS = 15.0
_LONGEST_LINE = 8190
_LOOPBACK = "127.0.0.1"


class CannotListen(Exception):
    """The address or port is taken, or not ours to take; one line says which and why."""


@dataclass(frozen=True, slots=True)
class Server:
    """The parts that whoever starts the server must reach."""

    public: web.Application
    admin: web.Application
    health: Health
    access: MemoryAccess
    storage: Storage


@asynccontextmanager
async def assemble(settings: Settings, *, pages: Sequence[web.RouteDef] = ()) -> AsyncIterator[Server]:
    """Build every part and start the workers; take all down again when the context ends.

    `pages` are routes that go before the images', such as the demo's.
    """
    storage = await make(settings.storage)
    pool = make_pool(settings)
    metrics = make_metrics(pool)
    disk = make_disk(settings, metrics)
    access = MemoryAccess()
    renderer = Renderer(
        admission=Admission(
            access,
            storage,
            unregistered=settings.unregistered == "public",
            ttl=settings.source_ttl,
            timer=time.monotonic,
            stale=settings.stale,
        ),
        originals=Originals(storage, limit=settings.max_source_bytes, keep=settings.memory_bytes // 4),
        tiers=Tiers([MemoryTier(settings.memory_bytes), *([disk] if disk else [])]),
        engine=pool,
        memo=FailureMemo(seconds=_FAILURE_SECONDS, entries=_FAILURES),
        recipe=recipe(settings),
        metrics=metrics,
    )
    access_log = AccessLog()
    images = make_images(settings, renderer, metrics, access_log)
    health = Health({"storage": storage.check, "workers": lambda: _someone_works(pool)})
    try:
        await pool.start()
        access_log.start()
        yield Server(
            public=_application(
                *pages, *health.routes(), web.route("*", r"/{target:(?s:.*)}", images.handle)
            ),
            admin=_application(*health.routes(), metrics_route(metrics)),
            health=health,
            access=access,
            storage=storage,
        )
    finally:
        await renderer.close()
        if disk is not None:
            await disk.close()
        await pool.close()
        await storage.close()
        await access_log.close()


def make_images(settings: Settings, renderer: Renderer, metrics: Metrics, access_log: AccessLog) -> Images:
    """The edge's handler."""
    return Images(
        grammar=settings.grammar,
        signer=settings.signer,
        policy=Policy(
            unsigned=settings.unsigned == "allow",
            automatic=settings.auto_formats,
            freshness=Freshness(int(settings.ttl), int(settings.shared_ttl), int(settings.stale)),
        ),
        renderer=renderer,
        metrics=metrics,
        access_log=access_log,
        clock=time.time,
        purge=Purge(renderer.purge, secret=settings.purge_secret) if settings.purge_secret else None,
    )


def make_pool(settings: Settings, *, size: int | None = None, spare: int = 1) -> Pool:
    """The workers, not started yet; `size` of them, or as many as the settings say."""
    return Pool(size or settings.workers, settings.queue, settings.deadline, spare=spare)


async def _someone_works(pool: Pool) -> None:
    if not pool.running and not pool.idle:
        raise EngineFailed("no worker is alive")


def make_metrics(pool: Pool) -> Metrics:
    """The metrics, with those that the pool keeps."""
    metrics = Metrics()
    metrics.gauge("imgproxy_jobs_running", "Pictures being made.", lambda: pool.running)
    metrics.gauge("imgproxy_jobs_waiting", "Pictures that wait for a worker.", lambda: pool.waiting)
    metrics.counts("imgproxy_jobs", "Jobs of workers, by what came of them.", "outcome", pool.outcomes)
    metrics.counts("imgproxy_worker_ends", "Workers that ended, by reason.", "reason", pool.deaths)
    return metrics


def make_disk(settings: Settings, metrics: Metrics) -> DiskTier | None:
    """The tier on disk, if there is to be one, with its metrics."""
    if not settings.cache_bytes:
        return None
    disk = DiskTier(settings.cache_dir, size=settings.cache_bytes, files=_CACHED_FILES, free=_FREE_BYTES)
    metrics.gauge("imgproxy_cache_disk_bytes", "Results on disk.", lambda: disk.stats().bytes)
    metrics.gauge("imgproxy_cache_disk_files", "Results on disk.", lambda: disk.stats().files)
    metrics.gauge("imgproxy_cache_disk_dropped", "Results not kept on disk.", lambda: disk.stats().dropped)
    return disk


def recipe(settings: Settings) -> Recipe:
    """How pictures are made by these settings; its name changes whenever their bytes may."""
    encoding = Encoding(
        quality=settings.quality,
        effort=settings.effort,
        metadata=settings.metadata,
        exact=settings.shrink == "exact",
    )
    return Recipe(
        encoding=encoding,
        ceiling=Ceiling(settings.max_pixels, settings.max_frames, settings.max_side),
        encoder=f"{encoding} libvips {version('pyvips-binary')}",
    )


def _application(*routes: web.AbstractRouteDef) -> web.Application:
    application = web.Application(client_max_size=0)
    application.router.add_routes(routes)
    return application


async def run(
    settings: Settings,
    *,
    host: str,
    port: int,
    pages: Sequence[web.RouteDef] = (),
    prepare: Callable[[Server], Awaitable[None]] | None = None,
    announce: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is under way; a second signal stops at once.

    `prepare` is called before anybody is listened to, `announce` once somebody can be.
    """
    async with assemble(settings, pages=pages) as server:
        _calm_collector()
        if prepare is not None:
            await prepare(server)
        public = _runner(server.public)
        admin = _runner(server.admin)
        try:
            await _listen(public, host, port)
            if settings.admin_port:
                await _listen(admin, _LOOPBACK, settings.admin_port)
            told = _listen_to_signals()
            announce()
            await told.wait()
            server.health.drain()
            _log.info("draining: no new connections, %.0f s for what is under way", _DRAIN_SECONDS)
        finally:
            await public.cleanup()
            await admin.cleanup()


def _calm_collector() -> None:
    """Let Python look for cycles less often: what a request leaves behind is freed by its last reference."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _runner(application: web.Application) -> web.AppRunner:
    return web.AppRunner(
        application,
        access_log=None,
        handle_signals=False,
        handler_cancellation=True,
        keepalive_timeout=_KEEPALIVE_SECONDS,
        lingering_time=2,
        max_field_size=_LONGEST_LINE,
        max_line_size=_LONGEST_LINE,
        shutdown_timeout=_DRAIN_SECONDS,
    )


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
    except OSError as error:
        raise CannotListen(f"{host}:{port} cannot be listened on: {os.strerror(error.errno or 0)}") from error


def _listen_to_signals() -> asyncio.Event:
    """Set at the first signal; from then on the default holds, so that a second one ends the process."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)

    def tell() -> None:
        for each in signals:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)
        told.set()

    for each in signals:
        loop.add_signal_handler(each, tell)
    return told
