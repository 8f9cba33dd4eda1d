"""The composition of the files side: the record, who is believed, and the door of the API. No logic.

`app` puts it beside the edge; what an endpoint needs is built here and bound to its group.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from aiohttp import web

from imgproxy.api import openapi_routes
from imgproxy.api.admin import ADMIN
from imgproxy.api.auth import Authenticator
from imgproxy.api.companion import COMPANION
from imgproxy.api.endpoints import Bound
from imgproxy.api.entity_uploads import ENTITY_UPLOADS, Entities
from imgproxy.api.files import FILES, Shelf
from imgproxy.api.idempotency import Once
from imgproxy.api.jwks import Download, KeySet
from imgproxy.api.keys import Keys
from imgproxy.api.multipart import MULTIPART, PartsIntake
from imgproxy.api.registry import GROUPS
from imgproxy.api.routes import Door
from imgproxy.api.seal import Seal
from imgproxy.api.shares import SHARES
from imgproxy.api.token import Tokens, Trust
from imgproxy.api.uploads import UPLOADS, Intake
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
from imgproxy.files.reading import FileReader, UrlSigner
from imgproxy.files.registration import Registrar
from imgproxy.files.retention import Retention
from imgproxy.files.streamed_uploads import StreamedUploads
from imgproxy.files.uploads import Uploads
from imgproxy.http.client_address import Clients
from imgproxy.http.cors import Cors
from imgproxy.http.rate_limits import Rate, WrongCredentials
from imgproxy.purge.cdn import CdnPurger
from imgproxy.purge.target import parse_purge_target
from imgproxy.settings import Settings
from imgproxy.storage import Storage
from imgproxy.telemetry import AccessLog, Metrics


@dataclass(frozen=True, slots=True)
class Around:
    """What the files side needs of the rest of the server."""

    objects: Storage
    url_signer: UrlSigner | None
    """What signs URLs of downloads through us; None if they are storage's."""
    inspector: Inspector
    tell: Tell
    stripper: Stripper | None = None
    """Removes personal metadata of images that are uploaded."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """What makes files of uploads."""

    uploads: Uploads
    multipart: MultipartUploads
    registrar: Registrar
    streams: StreamedUploads
    publisher: AutoRegistration


@dataclass(frozen=True, slots=True)
class Standing:
    """What shows and changes files that are there, and what keeps its promises."""

    reading: FileReader
    changes: FileEditor
    outbox: OutboxWorker


@dataclass(frozen=True, slots=True)
class Filing:
    """The parts that the rest of the server must reach."""

    database: Database
    routes: Sequence[web.RouteDef]
    publisher: AutoRegistration | None
    """What publishes files that nobody registers, if anything does."""
    front: CdnPurger
    """The caches in front."""

    @property
    def arrived(self) -> Arrived:
        """To be told of objects that clients have written."""
        return self.publisher.arrived if self.publisher else nobody_waits


@asynccontextmanager
async def assemble_files(
    settings: Settings, around: Around, *, metrics: Metrics, access_log: AccessLog
) -> AsyncIterator[Filing]:
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
    outbox = make_outbox(database, around, front, metrics)
    around = replace(around, tell=outbox.wake_after(around.tell))
    incoming = make_incoming(settings, database, around)
    standing = make_standing(settings, database, around, outbox)
    publisher = incoming.publisher if settings.publish == "auto" else None
    retention = make_retention(database, outbox, publisher)
    try:
        await database.migrate()
        outbox.start()
        retention.start()
        yield Filing(
            database,
            [*openapi_routes.routes(GROUPS), *door.routes(endpoints(incoming, standing))],
            publisher,
            front,
        )
    finally:
        await door.close()
        await incoming.publisher.close()
        await retention.close()
        await outbox.close()
        await front.close()
        if issuer is not None:
            await issuer.close()
        await download.close()
        await database.close()


def endpoints(incoming: Incoming, standing: Standing) -> list[Bound]:
    """Every endpoint with the part of the program that it calls."""
    parts = PartsIntake(incoming.uploads, incoming.multipart)
    shelf = Shelf(standing.reading, standing.changes)
    return [
        *UPLOADS.bind(Intake(incoming.uploads, incoming.registrar, incoming.streams)),
        *MULTIPART.bind(parts),
        *FILES.bind(shelf),
        *SHARES.bind(shelf),
        *COMPANION.bind(parts),
        *ENTITY_UPLOADS.bind(Entities(incoming.uploads, standing.reading)),
        *ADMIN.bind(standing.outbox),
    ]


def make_front(settings: Settings) -> CdnPurger:
    """The caches in front that are told of changes."""
    named = (each.partition(":") for each in settings.purge_headers)
    return CdnPurger(
        [parse_purge_target(url) for url in settings.purge_urls],
        headers={name.strip(): value.strip() for name, _, value in named},
        body=settings.purge_body,
    )


def make_outbox(database: Database, around: Around, front: CdnPurger, metrics: Metrics) -> OutboxWorker:
    """The worker that keeps promises, with its metrics."""
    outbox = OutboxWorker(database, handlers(around.objects, front), clock=milliseconds)
    text = "Tries of outbox tasks by kind and outcome."
    metrics.counts("imgproxy_outbox_tries", text, ["kind", "outcome"], outbox.outcomes)
    metrics.gauge("imgproxy_outbox_waiting", "Outbox tasks that wait.", lambda: outbox.waiting, shared=True)
    metrics.gauge("imgproxy_outbox_dead", "Outbox tasks given up.", lambda: outbox.dead, shared=True)
    return outbox


def make_retention(database: Database, outbox: OutboxWorker, publisher: AutoRegistration | None) -> Retention:
    """What ends what time has ended; what is published unasked is, before its upload would end."""

    async def rescue(upload: Upload) -> bool:
        return publisher is not None and await publisher.publish(upload.key)

    return Retention(
        database,
        ids=IdGenerator(milliseconds, Entropy(os.urandom)),
        rescue=rescue if publisher is not None else None,
        wake=outbox.wake,
    )


def make_standing(settings: Settings, database: Database, around: Around, outbox: OutboxWorker) -> Standing:
    """What shows and changes files, over a record and a storage."""
    ttl = int(settings.download_ttl)
    return Standing(
        reading=FileReader(
            database=database,
            objects=around.objects,
            clock=milliseconds,
            ttl=ttl,
            url_signer=around.url_signer,
        ),
        changes=FileEditor(
            database=database, ids=IdGenerator(milliseconds, Entropy(os.urandom)), tell=around.tell
        ),
        outbox=outbox,
    )


def make_incoming(settings: Settings, database: Database, around: Around) -> Incoming:
    """What makes files of uploads, over a record and a storage."""
    objects, ttl = around.objects, int(settings.presign_ttl)
    ids = IdGenerator(milliseconds, Entropy(os.urandom))
    limits = CollectionLimits(database, clock=milliseconds)
    inspector = ContentInspector(objects, around.inspector)
    finalizer = Finalizer(
        database=database,
        objects=objects,
        inspector=inspector,
        limits=limits,
        ids=ids,
        tell=around.tell,
        stripper=around.stripper,
    )
    publisher = AutoRegistration(
        database=database, objects=objects, limits=limits, ids=ids, finalizer=finalizer
    )
    return Incoming(
        uploads=Uploads(database=database, objects=objects, limits=limits, ids=ids, ttl=ttl),
        multipart=MultipartUploads(
            database=database,
            objects=objects,
            limits=limits,
            ids=ids,
            ttl=ttl,
            arrived=publisher.arrived if settings.publish == "auto" else nobody_waits,
        ),
        registrar=Registrar(database=database, finalizer=finalizer, ids=ids, tell=around.tell),
        streams=StreamedUploads(
            database=database,
            objects=objects,
            inspector=inspector,
            limits=limits,
            ids=ids,
            finalizer=finalizer,
        ),
        publisher=publisher,
    )


def trust(settings: Settings) -> Trust:
    """Which tokens a deployment believes."""
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
