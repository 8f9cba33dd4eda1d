"""Composition of the files API: database, service, endpoints. No logic; `app` puts it beside the edge."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from aiohttp import web

from imgproxy.api import openapi_routes
from imgproxy.api.auth import Authenticator
from imgproxy.api.endpoints import Bound
from imgproxy.api.idempotency import Once
from imgproxy.api.jwks import Download, KeySet
from imgproxy.api.keys import Keys
from imgproxy.api.registry import GROUPS
from imgproxy.api.routes import Door
from imgproxy.api.seal import Seal
from imgproxy.api.token import Tokens, Trust
from imgproxy.files.api_keys import ApiKeyStore
from imgproxy.files.auto_registration import AutoRegistration
from imgproxy.files.collections import CollectionLimits
from imgproxy.files.database import Database, open_database
from imgproxy.files.editing import FileEditor
from imgproxy.files.finalize import ContentInspector, Finalizer, Tell
from imgproxy.files.id_generator import Entropy, IdGenerator
from imgproxy.files.idempotency_store import IdempotencyStore
from imgproxy.files.model import Upload
from imgproxy.files.multipart import Arrived, MultipartUploads, nobody_waits
from imgproxy.files.object_storage import Inspector, Stripper
from imgproxy.files.outbox import OutboxWorker, handlers
from imgproxy.files.reading import FileReader
from imgproxy.files.registration import Registrar
from imgproxy.files.retention import Retention
from imgproxy.files.service import FilesService
from imgproxy.files.streamed_uploads import StreamedUploads
from imgproxy.files.uploads import Uploads
from imgproxy.http.client_address import Clients
from imgproxy.http.cors import Cors
from imgproxy.http.rate_limits import Rate, WrongCredentials
from imgproxy.purge.cdn import CdnPurger
from imgproxy.purge.target import parse_purge_target
from imgproxy.settings import Settings
from imgproxy.storage import Storage
from imgproxy.storage.signed_url import UrlSigner
from imgproxy.telemetry import AccessLog, Metrics


@dataclass(frozen=True, slots=True)
class FilesBackend:
    """Parts of the server that the files API uses."""

    objects: Storage
    url_signer: UrlSigner | None
    """Signer of download URLs that lead to this server; None if they lead to storage."""
    inspector: Inspector
    tell: Tell
    stripper: Stripper | None = None
    """Removes personal metadata of images that are uploaded."""


@dataclass(frozen=True, slots=True)
class FilesApi:
    """Parts of the files API that the rest of the server uses."""

    database: Database
    routes: Sequence[web.RouteDef]
    publisher: AutoRegistration | None
    """Auto-registration, if the settings turn it on."""
    front: CdnPurger
    """The caches in front."""

    @property
    def arrived(self) -> Arrived:
        """To be told of objects that clients have written."""
        return self.publisher.arrived if self.publisher else nobody_waits


@asynccontextmanager
async def assemble_files(
    settings: Settings, backend: FilesBackend, *, metrics: Metrics, access_log: AccessLog
) -> AsyncIterator[FilesApi]:
    """Open the record, brought to this version, and build what answers below /v1."""
    database = await open_database(settings.database)
    download = Download(settings.jwks_url)
    issuer = KeySet(download, timer=time.monotonic) if settings.jwks_url else None
    keys = Keys(ApiKeyStore(database), clock=milliseconds, timer=time.monotonic)
    door = Door(
        authenticator=Authenticator(keys, Tokens(trust(settings), issuer, clock=time.time)),
        rate=Rate(settings.api_rate, timer=time.monotonic),
        cors=Cors(settings.cors_origins),
        once=Once(IdempotencyStore(database), seal=Seal(settings.key_for("replies")), clock=milliseconds),
        metrics=metrics,
        access_log=access_log,
        clock=time.time,
        public_url=settings.public_url,
        clients=Clients(settings.trusted_proxies),
        wrong=WrongCredentials(settings.wrong_credentials),
    )
    front = make_front(settings)
    outbox = make_outbox(database, backend, front, metrics)
    backend = replace(backend, tell=outbox.wake_after(backend.tell))
    service = make_service(settings, database, backend, outbox)
    publisher = service.auto_registration if settings.publish == "auto" else None
    retention = make_retention(database, outbox, publisher)
    try:
        await database.migrate()
        outbox.start()
        retention.start()
        yield FilesApi(
            database,
            [*openapi_routes.routes(GROUPS), *door.routes(endpoints(service))],
            publisher,
            front,
        )
    finally:
        await door.close()
        await service.auto_registration.close()
        await retention.close()
        await outbox.close()
        await front.close()
        if issuer is not None:
            await issuer.close()
        await download.close()
        await database.close()


def endpoints(service: FilesService) -> list[Bound]:
    """Return every endpoint, bound to the service that it calls."""
    return [bound for group in GROUPS for bound in group.bind(service)]


def make_front(settings: Settings) -> CdnPurger:
    """The caches in front that are told of changes."""
    named = (each.partition(":") for each in settings.purge_headers)
    return CdnPurger(
        [parse_purge_target(url) for url in settings.purge_urls],
        headers={name.strip(): value.strip() for name, _, value in named},
        body=settings.purge_body,
    )


def make_outbox(
    database: Database, backend: FilesBackend, front: CdnPurger, metrics: Metrics
) -> OutboxWorker:
    """The worker that keeps promises, with its metrics."""
    outbox = OutboxWorker(database, handlers(backend.objects, front), clock=milliseconds)
    text = "Tries of outbox tasks by kind and outcome."
    metrics.counts("imgproxy_outbox_tries", text, ["kind", "outcome"], outbox.outcomes)
    metrics.gauge("imgproxy_outbox_waiting", "Outbox tasks that wait.", lambda: outbox.waiting, shared=True)
    metrics.gauge("imgproxy_outbox_dead", "Outbox tasks given up.", lambda: outbox.dead, shared=True)
    return outbox


def make_retention(database: Database, outbox: OutboxWorker, publisher: AutoRegistration | None) -> Retention:
    """Return the retention; with auto-registration, uploads are registered before they expire."""

    async def rescue(upload: Upload) -> bool:
        return publisher is not None and await publisher.publish(upload.key)

    return Retention(
        database,
        ids=IdGenerator(milliseconds, Entropy(os.urandom)),
        rescue=rescue if publisher is not None else None,
        wake=outbox.wake,
    )


def make_service(
    settings: Settings, database: Database, backend: FilesBackend, outbox: OutboxWorker
) -> FilesService:
    """Return the use cases of files over a database and a storage."""
    objects, ttl = backend.objects, int(settings.presign_ttl)
    ids = IdGenerator(milliseconds, Entropy(os.urandom))
    limits = CollectionLimits(database, clock=milliseconds)
    inspector = ContentInspector(objects, backend.inspector)
    finalizer = Finalizer(
        database=database,
        objects=objects,
        inspector=inspector,
        limits=limits,
        ids=ids,
        tell=backend.tell,
        stripper=backend.stripper,
    )
    auto_registration = AutoRegistration(
        database=database, objects=objects, limits=limits, ids=ids, finalizer=finalizer
    )
    return FilesService(
        uploads=Uploads(database=database, objects=objects, limits=limits, ids=ids, ttl=ttl),
        multipart=MultipartUploads(
            database=database,
            objects=objects,
            limits=limits,
            ids=ids,
            ttl=ttl,
            arrived=auto_registration.arrived if settings.publish == "auto" else nobody_waits,
        ),
        streams=StreamedUploads(
            database=database,
            objects=objects,
            inspector=inspector,
            limits=limits,
            ids=ids,
            finalizer=finalizer,
        ),
        registrar=Registrar(database=database, finalizer=finalizer, ids=ids, tell=backend.tell),
        auto_registration=auto_registration,
        reader=FileReader(
            database=database,
            objects=objects,
            clock=milliseconds,
            ttl=int(settings.download_ttl),
            url_signer=backend.url_signer,
        ),
        editor=FileEditor(database=database, ids=ids, tell=backend.tell),
        outbox=outbox,
    )


def trust(settings: Settings) -> Trust:
    """Return the keys and claims of tokens that a deployment accepts."""
    return Trust(
        secret=settings.jwt_secret,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        tenant_claim=settings.jwt_tenant_claim,
        require_tenant=settings.jwt_require_tenant,
    )


def milliseconds() -> int:
    """The record's clock."""
    return time.time_ns() // 1_000_000
