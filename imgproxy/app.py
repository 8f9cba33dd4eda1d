"""The composition root: the only place where concrete parts meet. Where X is chosen, it is chosen here.

Order of construction is order of dependency; closing goes backwards. No logic.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

from aiohttp import web

from imgproxy.api.get_object import Files
from imgproxy.api.object_gateway import ObjectGateway
from imgproxy.cache.disk import DiskTier
from imgproxy.cache.memory import MemoryTier
from imgproxy.cache.purge_epochs import PurgeEpochs
from imgproxy.cache.tiers import Tiers
from imgproxy.edge.client_concurrency import ClientConcurrency
from imgproxy.edge.health import Health, checks, metrics_route
from imgproxy.edge.images import Images, Policy
from imgproxy.edge.probe import ImageProbe
from imgproxy.edge.render import Recipe, Renderer
from imgproxy.edge.response_headers import Freshness
from imgproxy.edge.source_access import SourceAccess
from imgproxy.edge.source_cache import SourceCache
from imgproxy.edge.stripper import Stripper
from imgproxy.engine.negative_cache import NegativeCache
from imgproxy.engine.pool import Pool
from imgproxy.engine.worker_protocol import Encoding
from imgproxy.files.file_status import FileStatusCache
from imgproxy.files.multipart import Arrived
from imgproxy.files_api import FilesApi, FilesBackend, assemble_files
from imgproxy.http.client_address import Clients
from imgproxy.http.connection_limits import Bounds
from imgproxy.http.cors import Cors
from imgproxy.http.rate_limits import WrongCredentials
from imgproxy.image.source import Key
from imgproxy.multiprocess import Broadcast
from imgproxy.purge.cdn import CdnPurger
from imgproxy.purge.endpoint import PurgeEndpoint
from imgproxy.purge.urls import ServedUrls, UrlPurger
from imgproxy.settings import Settings
from imgproxy.storage import Storage
from imgproxy.storage.local import LocalStorage
from imgproxy.storage.memory import MemoryStorage
from imgproxy.storage.signed_url import UrlSigner
from imgproxy.telemetry import AccessLog, Metrics

_FAILURE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Server:
    """The parts that `serve` and tests need of a server."""

    public: web.Application
    admin: web.Application
    health: Health
    metrics: Metrics
    storage: Storage


@asynccontextmanager
async def assemble(
    settings: Settings, *, broadcast: Broadcast | None = None, pages: Sequence[web.RouteDef] = ()
) -> AsyncIterator[Server]:
    """Build a server and start its workers; close all when the context ends.

    `broadcast` reaches the other processes of the server; `pages` are routes that precede those of images.
    """
    pool = make_pool(settings)
    try:
        await pool.start()
        async with assemble_edge(settings, pool, broadcast or Broadcast(), pages) as server:
            yield server
    finally:
        await pool.close()


@asynccontextmanager
async def assemble_edge(
    settings: Settings, pool: Pool, broadcast: Broadcast, pages: Sequence[web.RouteDef]
) -> AsyncIterator[Server]:
    """Build every part but the workers."""
    metrics = make_metrics(pool)
    url_signer = UrlSigner(settings.key_for("tickets"), clock=time.time)
    storage = await settings.storage.connect(url_signer, settings.hidden_prefixes)
    epochs = PurgeEpochs(settings.cache_dir if settings.cache_bytes else None)
    disk = make_disk(settings, epochs, metrics)
    sources = SourceCache(
        storage,
        limit=settings.max_source_bytes,
        keep=settings.cache_sizes.source_bytes,
        files=settings.cache_sizes.source_files,
        budget=settings.sources_bytes,
    )
    metrics.gauge(
        "imgproxy_sources_held_bytes", "Bytes of sources reserved, in use and kept.", lambda: sources.held
    )
    purge = PurgeEndpoint(
        partial(broadcast.send, "purge"),
        record=epochs.record,
        secret=settings.purge_secret,
        clients=Clients(settings.trusted_proxies),
        wrong=WrongCredentials(settings.wrong_credentials),
    )
    answered = ServedUrls(settings.cache_sizes.served_urls)
    access_log = AccessLog()
    backend = FilesBackend(
        objects=storage,
        url_signer=url_signer if is_proxied(settings, storage) else None,
        inspector=ImageProbe(sources, pool, ceiling=recipe(settings).ceiling),
        tell=partial(broadcast.send, "change"),
        stripper=make_stripper(settings, sources, pool),
    )
    try:
        access_log.start()
        async with (
            assemble_files(settings, backend, metrics=metrics, access_log=access_log) as files_api,
            open_access(settings, files_api) as access,
            open_url_purger(files_api.front, answered) as url_purger,
            open_renderer(
                settings, access, storage, epochs, sources, disk, pool, broadcast, metrics, url_purger.spawn
            ) as renderer,
        ):
            told = answered if files_api.front.forgets_by_url else None
            images = make_images(settings, renderer, metrics, access_log, purge, told)
            health = Health(
                checks(
                    {"storage": storage.check, "database": files_api.database.check, "workers": pool.check}
                )
            )
            yield Server(
                public=application(
                    *pages,
                    *health.routes(),
                    *files_api.routes,
                    *gateway_routes(settings, storage, url_signer, access, access_log, files_api.arrived),
                    web.route("*", r"/{target:(?s:.*)}", images.handle),
                ),
                admin=application(*health.routes(), metrics_route(metrics.text)),
                health=health,
                metrics=metrics,
                storage=storage,
            )
    finally:
        sources.close()
        if disk is not None:
            await disk.close()
        await storage.close()
        await access_log.close()


@asynccontextmanager
async def open_access(settings: Settings, files_api: FilesApi) -> AsyncIterator[FileStatusCache]:
    """Who may see what, by the record."""
    publish = files_api.publisher.publish if files_api.publisher else None
    access = FileStatusCache(
        files_api.database, timer=time.monotonic, publish=publish, entries=settings.cache_sizes.file_rows
    )
    try:
        await access.start()
        yield access
    finally:
        await access.close()


@asynccontextmanager
async def open_url_purger(front: CdnPurger, answered: ServedUrls) -> AsyncIterator[UrlPurger]:
    """What has caches in front forget the URLs of a key."""
    purge = UrlPurger(front, answered)
    try:
        yield purge
    finally:
        await purge.close()


@asynccontextmanager
async def open_renderer(
    settings: Settings,
    access: FileStatusCache,
    storage: Storage,
    epochs: PurgeEpochs,
    sources: SourceCache,
    disk: DiskTier | None,
    pool: Pool,
    broadcast: Broadcast,
    metrics: Metrics,
    forget: Callable[[Key], None],
) -> AsyncIterator[Renderer]:
    """What makes and keeps pictures, told of what happens to keys; `forget` is told after it."""
    renderer = Renderer(
        source_access=SourceAccess(
            access,
            storage,
            epochs,
            unregistered=settings.unregistered == "public",
            ttl=settings.source_ttl,
            timer=time.monotonic,
            stale=settings.stale,
            sizes=settings.cache_sizes,
        ),
        sources=sources,
        tiers=Tiers([MemoryTier(settings.cache_sizes.results), *([disk] if disk else [])]),
        engine=pool,
        negative_cache=NegativeCache(seconds=_FAILURE_SECONDS, entries=settings.cache_sizes.failures),
        recipe=recipe(settings),
        metrics=metrics,
    )

    async def changed(key: Key, _number: int) -> None:
        access.changed(key)
        forget(key)

    async def purged(key: Key, number: int) -> None:
        await renderer.purge(key, number)
        forget(key)

    broadcast.subscribe("purge", purged)
    broadcast.subscribe("change", changed)
    access.when_changed(forget)
    try:
        yield renderer
    finally:
        await renderer.close()


def make_images(
    settings: Settings,
    renderer: Renderer,
    metrics: Metrics,
    access_log: AccessLog,
    purge: PurgeEndpoint,
    answered: ServedUrls | None,
) -> Images:
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
        purge=purge if settings.purge_secret else None,
        clients=Clients(settings.trusted_proxies),
        concurrency=ClientConcurrency(settings.client_misses),
        answered=answered,
        sizes=settings.cache_sizes,
    )


def is_proxied(settings: Settings, storage: Storage) -> bool:
    """Whether downloads go through us: because they are to, or because nobody else reaches the storage."""
    return settings.downloads == "proxy" or isinstance(storage, LocalStorage | MemoryStorage)


def make_stripper(settings: Settings, sources: SourceCache, pool: Pool) -> Stripper | None:
    """What removes personal metadata of uploads, if it is to be removed."""
    if settings.upload_metadata == "keep":
        return None
    return Stripper(sources, pool, ceiling=recipe(settings).ceiling)


def gateway_routes(
    settings: Settings,
    storage: Storage,
    url_signer: UrlSigner,
    access: FileStatusCache,
    access_log: AccessLog,
    arrived: Arrived,
) -> list[web.RouteDef]:
    """Where clients get files through us, and put objects into a storage that they cannot reach."""
    if not is_proxied(settings, storage):
        return []
    cors = Cors(settings.cors_origins)
    gateway = ObjectGateway(
        Files(access, storage),
        url_signer=url_signer,
        sink=storage if isinstance(storage, LocalStorage | MemoryStorage) else None,
        cors=cors,
        access_log=access_log,
        clock=time.time,
        arrived=arrived,
        clients=Clients(settings.trusted_proxies),
    )
    return gateway.routes()


def make_pool(settings: Settings, *, size: int | None = None, spare: int | None = None) -> Pool:
    """The workers, not started yet; `size` of them, or as many as the settings say.

    One spare is enough where one worker at a time is replaced. Where each job takes one, there are as many
    spares as slots.
    """
    size = size or settings.workers
    return Pool(
        size,
        settings.queue,
        settings.deadline,
        spare=spare if spare is not None else size if settings.worker_jobs == 1 else 1,
        recycle_jobs=settings.worker_jobs,
        memory=settings.worker_memory,
        require_locks=settings.sandbox == "require",
    )


def make_metrics(pool: Pool) -> Metrics:
    """The metrics, with those that the pool keeps."""
    metrics = Metrics()
    metrics.gauge("imgproxy_jobs_running", "Images being transformed.", lambda: pool.running)
    metrics.gauge("imgproxy_jobs_waiting", "Images that wait for a worker.", lambda: pool.waiting)
    metrics.counts("imgproxy_jobs", "Transform jobs by outcome.", ["outcome"], pool.outcomes)
    metrics.counts("imgproxy_worker_ends", "Workers that ended, by reason.", ["reason"], pool.ends)
    return metrics


def make_disk(settings: Settings, epochs: PurgeEpochs, metrics: Metrics) -> DiskTier | None:
    """The tier on disk, if there is to be one, with its metrics."""
    if not settings.cache_bytes:
        return None
    disk = DiskTier(
        settings.cache_dir,
        epochs,
        size=settings.cache_bytes,
        files=settings.cache_files,
        free=settings.cache_free_bytes,
    )
    gauge = metrics.gauge
    gauge("imgproxy_cache_disk_bytes", "Bytes of results on disk.", lambda: disk.stats().bytes, shared=True)
    gauge("imgproxy_cache_disk_files", "Results on disk.", lambda: disk.stats().files, shared=True)
    gauge("imgproxy_cache_disk_dropped", "Results not stored on disk.", lambda: disk.stats().dropped)
    return disk


def recipe(settings: Settings) -> Recipe:
    """How pictures are made by these settings; its name changes whenever their bytes may."""
    encoding = Encoding(
        quality=settings.quality,
        effort=settings.effort,
        metadata=settings.metadata,
        exact=settings.shrink == "exact",
        background=settings.background,
        imagor=settings.compat == "imagor",
    )
    return Recipe(
        encoding=encoding,
        ceiling=settings.ceiling,
        encoder=f"{encoding} damaged {settings.damaged} libvips {version('pyvips-binary')}",
        damaged_seconds=settings.shared_ttl if settings.damaged == "show" else None,
    )


def bounds(settings: Settings) -> Bounds:
    """Return the limits of a port's connections."""
    return Bounds(
        write_timeout=settings.write_timeout,
        min_rate=settings.min_rate,
        client_bytes=settings.client_bytes,
    )


def application(*routes: web.AbstractRouteDef) -> web.Application:
    """What answers on one port; no request has a body."""
    made = web.Application(client_max_size=0)
    made.router.add_routes(routes)
    return made
