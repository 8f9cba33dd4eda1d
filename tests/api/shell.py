"""A door with made-up endpoints behind it: keys, replies and clocks in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import StringIO

import jwt
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.typedefs import Handler
from pydantic import BaseModel

from imgproxy.api.auth import Authenticator
from imgproxy.api.endpoints import FORM, Answer, Call, Endpoint, Group
from imgproxy.api.idempotency import Once
from imgproxy.api.keys import Keys, sha256_of
from imgproxy.api.requests import Body, Query
from imgproxy.api.routes import Door
from imgproxy.api.seal import Seal
from imgproxy.api.token import Tokens, Trust
from imgproxy.errors import Changed, ImgproxyError, StorageFailed
from imgproxy.files.model import ApiKey, StoredRequest, TenantId
from imgproxy.files.principal import Kind
from imgproxy.http.client_address import DIRECT, Clients
from imgproxy.http.cors import Cors
from imgproxy.http.rate_limits import Rate
from imgproxy.telemetry import AccessLog, Metrics

NOW = 1_800_000_000
SECRET = "a secret of at least thirty-two bytes"
PUBLISHABLE = "pk_" + "a1" * 32
SECRET_KEY = "sk_" + "b2" * 32
ELSEWHERE = "pk_" + "c3" * 32


@dataclass
class Clock:
    """Time that stands still until a test moves it; one for seconds, milliseconds and timers."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now

    def milliseconds(self) -> int:
        return int(self.now * 1000)


@dataclass
class KeysInMemory:
    """Keys as the record has them; counts how often it is asked."""

    keys: dict[bytes, ApiKey] = field(default_factory=dict)
    asked: int = 0
    error: ImgproxyError | None = None

    def add(self, text: str, tenant: str, *, expires_at: int | None = None) -> ApiKey:
        kind = "sk" if text.startswith("sk") else "pk"
        key = ApiKey(text[:5], TenantId(tenant), kind, sha256_of(text), NOW * 1000, expires_at)  # type: ignore[arg-type]
        self.keys[key.sha256] = key
        return key

    async def api_key(self, sha256: bytes) -> ApiKey | None:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self.keys.get(sha256)


Place = tuple[str, str, str]


@dataclass
class RepliesInMemory:
    """What is remembered of requests."""

    kept: dict[Place, tuple[StoredRequest, int]] = field(default_factory=dict)
    error: ImgproxyError | None = None

    async def remember(
        self, tenant: TenantId, principal: str, key: str, *, request_sha256: bytes, now: int, expires_at: int
    ) -> StoredRequest | None:
        place = (tenant, principal, key)
        first = self.kept.get(place)
        if first is not None and first[1] > now:
            return first[0]
        self.kept[place] = (StoredRequest(request_sha256, now), expires_at)
        return None

    async def answer(self, tenant: TenantId, principal: str, key: str, remembered: StoredRequest) -> None:
        if self.error is not None:
            raise self.error
        place = (tenant, principal, key)
        self.kept[place] = (remembered, self.kept[place][1])

    async def forget(self, tenant: TenantId, principal: str, key: str) -> None:
        self.kept.pop((tenant, principal, key), None)


class UploadRequest(Body):
    """What a test sends."""

    text: str
    size: int = 0


class Search(Query):
    """What a test asks in a query."""

    limit: int = 20


class Echo(BaseModel):
    """What a test is answered."""

    text: str
    who: str
    base: str = ""


@dataclass
class Part:
    """The part of the program that the endpoints need."""

    calls: list[str] = field(default_factory=list)
    error: Exception | None = None
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    hold: asyncio.Event | None = None

    async def say(self, call: Call[object], text: str) -> Echo:
        self.reached.set()
        if self.hold is not None:
            await self.hold.wait()
        if self.error is not None:
            raise self.error
        self.calls.append(text)
        return Echo(text=text, who=call.principal.name, base=call.base)


async def _create(part: Part, call: Call[UploadRequest]) -> Answer:
    return Answer(await part.say(call, call.given.text), headers={"Location": "/v1/things/1"})


async def _list(part: Part, call: Call[Search]) -> Answer:
    return Answer(await part.say(call, str(call.given.limit)))


async def _get(part: Part, call: Call[None]) -> Answer:
    return Answer(await part.say(call, call.path["id"]), etag='"1"')


async def _admin(part: Part, call: Call[None]) -> Answer:
    return Answer(await part.say(call, "admin"))


async def _stream(part: Part, call: Call[None]) -> Answer:
    return Answer(await part.say(call, f"{len(await call.http.read())} bytes"))


THINGS = Group(
    "Things",
    "Made-up things.",
    (
        Endpoint(
            "POST",
            "/v1/things",
            "createThing",
            "Make a thing",
            _create,
            takes=UploadRequest,
            answers=Echo,
            status=201,
            creates=True,
            refuses=(StorageFailed,),
        ),
        Endpoint("POST", "/v1/things", "sendThing", "Send a thing", _stream, media=FORM, answers=Echo),
        Endpoint(
            "GET", "/v1/things", "listThings", "List", _list, Kind.ANONYMOUS, takes=Search, answers=Echo
        ),
        Endpoint(
            "GET",
            "/v1/things/{id}",
            "getThing",
            "Get",
            _get,
            Kind.ANONYMOUS,
            answers=Echo,
            refuses=(Changed,),
        ),
        Endpoint("POST", "/v1/admin", "admin", "Administer", _admin, Kind.SERVICE, answers=Echo),
    ),
)


@dataclass
class Shell:
    """What a test can reach."""

    client: TestClient[web.Request, web.Application]
    door: Door
    part: Part
    keys: KeysInMemory
    replies: RepliesInMemory
    clock: Clock
    metrics: Metrics
    left: asyncio.Event
    """Set when a client has left before it was answered."""


def token(**claims: object) -> str:
    """A token of the user olga, good for an hour; `claims` go on top, and None takes one away."""
    payload = {"sub": "olga", "exp": NOW + 3600, **claims}
    given = {name: value for name, value in payload.items() if value is not None}
    return jwt.encode(given, SECRET, algorithm="HS256")


def user(**claims: object) -> dict[str, str]:
    """The headers of a signed-in user."""
    return {"X-API-Key": PUBLISHABLE, "Authorization": f"Bearer {token(**{'tenant': 'acme', **claims})}"}


SERVICE = {"X-API-Key": SECRET_KEY}
ANYBODY = {"X-API-Key": PUBLISHABLE}


@asynccontextmanager
async def running(
    *, rate: int = 0, origins: tuple[str, ...] = (), public_url: str = "", clients: Clients = DIRECT
) -> AsyncIterator[Shell]:
    """Serve the things."""
    clock, keys, replies, metrics, part = Clock(), KeysInMemory(), RepliesInMemory(), Metrics(), Part()
    keys.add(PUBLISHABLE, "acme")
    keys.add(SECRET_KEY, "acme")
    keys.add(ELSEWHERE, "other")
    door = Door(
        authenticator=Authenticator(
            Keys(keys, clock=clock.milliseconds, timer=clock), Tokens(Trust(SECRET), clock=clock)
        ),
        rate=Rate(rate, timer=clock),
        cors=Cors(origins),
        once=Once(replies, seal=Seal(bytes(32)), clock=clock.milliseconds),
        metrics=metrics,
        access_log=AccessLog(StringIO()),
        clock=clock,
        public_url=public_url,
        clients=clients,
    )
    left = asyncio.Event()

    @web.middleware
    async def noticing(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except asyncio.CancelledError:
            left.set()
            raise

    application = web.Application(client_max_size=0, middlewares=[noticing])
    application.router.add_routes(door.routes(THINGS.bind(part)))
    # aiohttp cancels its handlers when a client leaves, as the real server is told to
    server = TestServer(application)
    async with TestClient(server) as client:
        yield Shell(client, door, part, keys, replies, clock, metrics, left)
        await door.close()
