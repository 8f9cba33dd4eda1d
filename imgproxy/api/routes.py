"""The door of the files API: every request goes the same way, whatever endpoint it is for.

    who asks (401) -> how often (429) -> may they call this (403) -> what is sent (413, 415, 400)
    -> once (409, 422) -> the endpoint -> its answer, or a problem

Every answer has a request id; every error becomes a problem here and nowhere else. What changes something is
finished even if the client has left: half a change would be found by nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import Any

from aiohttp import hdrs, web

from imgproxy.api import form, idempotency
from imgproxy.api.auth import Authenticator, Caller, require
from imgproxy.api.endpoints import FORM, JSON, MAX_BODY_BYTES, Bound, Call
from imgproxy.api.fingerprint import Fingerprint
from imgproxy.api.idempotency import Once, Repeatable
from imgproxy.api.limits import read_body
from imgproxy.api.reply import Reply, reply, written
from imgproxy.api.validation import read_json, read_query
from imgproxy.errors import RateLimited, WrongCredential
from imgproxy.files.principal import Kind
from imgproxy.http import problems
from imgproxy.http.client_address import DIRECT, Clients
from imgproxy.http.cors import Cors
from imgproxy.http.headers import API_HEADERS
from imgproxy.http.problems import NO_ENDPOINT, NO_MEDIA, NO_METHOD, Refusal
from imgproxy.http.rate_limits import Allowance, Rate, WrongCredentials
from imgproxy.telemetry import AccessLine, AccessLog, Metrics, request_id

_CHANGES = ("POST", "PUT", "PATCH", "DELETE")


@dataclass(slots=True)
class _Asked:
    """One request under way."""

    http: web.Request
    id: str
    begun: float = field(default_factory=perf_counter)
    allowance: Allowance | None = None


@dataclass(frozen=True, slots=True)
class Door:
    """What every request passes."""

    authenticator: Authenticator
    rate: Rate
    cors: Cors
    once: Once
    metrics: Metrics
    access_log: AccessLog
    clock: Callable[[], float]
    """Seconds since 1970, for the log."""
    public_url: str = ""
    """The origin that URLs in answers begin with; that of the request unless told."""
    clients: Clients = DIRECT
    wrong: WrongCredentials = field(default_factory=lambda: WrongCredentials(0))
    _finishing: set[asyncio.Task[Any]] = field(default_factory=set)

    def routes(self, endpoints: Iterable[Bound]) -> list[web.RouteDef]:
        """One route for each path, and one for what is none of them."""
        by_path: dict[str, list[Bound]] = {}
        for bound in endpoints:
            by_path.setdefault(bound.endpoint.path, []).append(bound)
        found = [web.route("*", path, _Path(self, here).handle) for path, here in by_path.items()]
        return [*found, web.route("*", r"/v1{tail:(?:/(?s:.*))?}", _Path(self, ()).handle)]

    async def close(self) -> None:
        """Wait until every change that was begun has ended."""
        if self._finishing:
            await asyncio.wait(self._finishing)

    async def finish(self, work: Awaitable[Reply]) -> Reply:
        """Await work that goes on if whoever asked for it does not wait."""
        task = asyncio.ensure_future(work)
        self._finishing.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._finishing.discard(task)
        if not task.cancelled():
            task.exception()  # seen: whoever still waits is told, and nobody else needs to be


class _Path:
    """The endpoints of one path."""

    def __init__(self, door: Door, endpoints: Sequence[Bound]) -> None:
        self._door = door
        self._by_method: dict[str, list[Bound]] = {}
        for bound in endpoints:
            self._by_method.setdefault(bound.endpoint.method, []).append(bound)
        if "GET" in self._by_method:
            self._by_method["HEAD"] = self._by_method["GET"]

    async def handle(self, http: web.Request) -> web.StreamResponse:
        """Answer any request for this path."""
        asked = _Asked(http, request_id(http.headers))
        try:
            response = await self._respond(asked)
        except Exception as error:
            response = problems.response_to(
                problems.files_error(error),
                request_id=asked.id,
                target=http.raw_path.partition("?")[0],
                accept=http.headers.get("Accept", ""),
            )
        self._dress(asked, response)
        self._tell(asked, response)
        return response

    async def _respond(self, asked: _Asked) -> web.Response:
        http, door = asked.http, self._door
        if http.method == "OPTIONS" and self._by_method:
            return self._preflight(http)
        bound = self._choose(http)
        caller = await self._identify(http)
        self._count(asked, caller)
        require(caller, bound.endpoint.needs)
        raw = b"" if bound.endpoint.media == FORM else await _json_body(http, bound)
        key = http.headers.get(idempotency.HEADER) if bound.endpoint.creates else None
        fingerprint = None if key is None else Fingerprint(http.method, http.path_qs, raw)
        call = await self._read(http, bound, caller, raw, fingerprint)
        work = partial(_reply, bound, call)
        if key is not None and fingerprint is not None:
            request = _repeatable(http, bound, key, fingerprint)
            work = partial(door.once.run, caller.principal, request, work)
        done = work()
        return written(http, await (door.finish(done) if http.method in _CHANGES else done))

    def _choose(self, http: web.Request) -> Bound:
        if not self._by_method:
            raise Refusal(NO_ENDPOINT, "there is nothing here; /v1/docs says what there is")
        offered = self._by_method.get(http.method)
        if offered is None:
            allow = ", ".join(sorted({*self._by_method, "OPTIONS"}))
            raise Refusal(NO_METHOD, f"{allow} can be asked for here", Allow=allow)
        kind = http.content_type if hdrs.CONTENT_TYPE in http.headers else JSON
        streamed = next((each for each in offered if each.endpoint.media == kind == FORM), None)
        return streamed or next((each for each in offered if each.endpoint.media == JSON), offered[0])

    async def _identify(self, http: web.Request) -> Caller:
        """Return who asks; a wrong credential counts against its address, a right one is always taken."""
        try:
            return await self._door.authenticator.identify(http.headers)
        except WrongCredential:
            self._door.wrong.wrong(self._door.clients.name(http))
            raise

    def _count(self, asked: _Asked, caller: Caller) -> None:
        """Whoever is nobody in particular is counted by address: a page's key is in many hands."""
        anonymous = caller.principal.kind is Kind.ANONYMOUS
        address = self._door.clients.name(asked.http) if anonymous else ""
        asked.allowance = self._door.rate.take(f"{caller.name}\n{address}")
        if asked.allowance is not None and asked.allowance.retry_after:
            wait = asked.allowance.retry_after
            raise RateLimited(f"too many requests: come again in {wait} s", retry_after=wait)

    async def _read(
        self, http: web.Request, bound: Bound, caller: Caller, raw: bytes, fingerprint: Fingerprint | None
    ) -> Call[Any]:
        endpoint = bound.endpoint
        given = None
        if endpoint.takes is not None and endpoint.media != FORM:
            if endpoint.asks_in_query:
                given = read_query(endpoint.takes, http.query)
            elif len(raw) <= MAX_BODY_BYTES:
                given = read_json(endpoint.takes, raw)
            else:  # what follows the parser, such as 10,000 checks of text, lets others run
                given = await asyncio.to_thread(read_json, endpoint.takes, raw)
        base = self._door.public_url or _origin(http)
        return Call(caller.principal, given, http.match_info, base, http, fingerprint)

    def _preflight(self, http: web.Request) -> web.Response:
        methods = {*self._by_method, "OPTIONS"}
        headers = {"Allow": ", ".join(sorted(methods)), "Cache-Control": "no-store"}
        headers.update(self._door.cors.preflight(http.headers.get("Origin"), methods))
        return web.Response(status=204, headers=headers)

    def _dress(self, asked: _Asked, response: web.Response) -> None:
        headers = response.headers
        headers.update(API_HEADERS)
        headers["X-Request-Id"] = asked.id
        for name, value in self._door.cors.headers(asked.http.headers.get("Origin")).items():
            headers[name] = value
        if asked.allowance is not None:
            headers.update(asked.allowance.headers)

    def _tell(self, asked: _Asked, response: web.Response) -> None:
        http = asked.http
        body = response.body
        sent = len(body) if isinstance(body, bytes) and http.method != "HEAD" else 0
        seconds = perf_counter() - asked.begun
        self._door.metrics.responded(response.status, "api", sent, seconds)
        self._door.access_log.add(
            AccessLine(
                self._door.clock(),
                asked.id,
                self._door.clients.address(http),
                http.method,
                http.raw_path,
                response.status,
                sent,
                "api",
                seconds,
            )
        )


async def _json_body(http: web.Request, bound: Bound) -> bytes:
    """The body, of the type that we read; none where none is read."""
    if bound.endpoint.takes is None or bound.endpoint.asks_in_query:
        return b""
    raw = await read_body(http, limit=bound.endpoint.body_bytes)
    kind = http.content_type
    if raw and hdrs.CONTENT_TYPE in http.headers and kind != JSON and not kind.endswith("+json"):
        raise Refusal(NO_MEDIA, f"Content-Type: {JSON} is expected", Accept=JSON)
    return raw


async def _reply(bound: Bound, call: Call[Any]) -> Reply:
    return reply(await bound.call(call), status=bound.endpoint.status)


def _origin(http: web.Request) -> str:
    """As the client, or the proxy that it asked, names us; who lies has only itself to blame for its URLs."""
    scheme = http.headers.get("X-Forwarded-Proto", http.scheme)
    return f"{scheme if scheme == 'https' else 'http'}://{http.headers.get(hdrs.HOST, 'localhost')}"


def _repeatable(http: web.Request, bound: Bound, key: str, fingerprint: Fingerprint) -> Repeatable:
    repeatable = Repeatable(idempotency.parse_key(key), fingerprint, signs=bound.endpoint.signs)
    if bound.endpoint.media != FORM:
        return repeatable
    return replace(repeatable, read=partial(form.read, http, fingerprint))
