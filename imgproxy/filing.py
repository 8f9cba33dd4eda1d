"""The composition of the files side: the record, who is believed, and the door of the API. No logic.

`app` puts it beside the edge; what an endpoint needs is built here and bound to its group.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from imgproxy.api import about
from imgproxy.api.auth import Authenticator
from imgproxy.api.cors import Cors
from imgproxy.api.endpoints import Bound
from imgproxy.api.groups import GROUPS
from imgproxy.api.idempotency import Once
from imgproxy.api.jwks import Download, KeySet
from imgproxy.api.keys import Keys
from imgproxy.api.limits import Rate
from imgproxy.api.routes import Door
from imgproxy.api.token import Tokens, Trust
from imgproxy.files.database import Database, open_database
from imgproxy.files.keyring import Keyring
from imgproxy.files.replies import RecordedReplies
from imgproxy.settings import Settings
from imgproxy.telemetry import AccessLog, Metrics


@dataclass(frozen=True, slots=True)
class Filing:
    """The parts that the rest of the server must reach."""

    database: Database
    routes: Sequence[web.RouteDef]


@asynccontextmanager
async def assemble_files(
    settings: Settings, *, metrics: Metrics, access_log: AccessLog
) -> AsyncIterator[Filing]:
    """Open the record, brought to this version, and build what answers below /v1."""
    database = await open_database(settings.database)
    download = Download(settings.jwks_url)
    issuer = KeySet(download, timer=time.monotonic) if settings.jwks_url else None
    keys = Keys(Keyring(database), clock=milliseconds, timer=time.monotonic)
    door = Door(
        authenticator=Authenticator(keys, Tokens(trust(settings), issuer, clock=time.time)),
        rate=Rate(settings.api_rate, timer=time.monotonic),
        cors=Cors(settings.cors_origins),
        once=Once(RecordedReplies(database), clock=milliseconds),
        metrics=metrics,
        access_log=access_log,
        clock=time.time,
        public_url=settings.public_url,
    )
    try:
        await database.migrate()
        yield Filing(database, [*about.routes(GROUPS), *door.routes(endpoints())])
    finally:
        await door.close()
        if issuer is not None:
            await issuer.close()
        await download.close()
        await database.close()


def endpoints() -> list[Bound]:
    """Every endpoint with the part of the program that it calls."""
    return []


def trust(settings: Settings) -> Trust:
    """Which tokens a deployment believes."""
    return Trust(
        secret=settings.jwt_secret,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        tenant_claim=settings.jwt_tenant_claim,
    )


def milliseconds() -> int:
    """The record's clock."""
    return time.time_ns() // 1_000_000
