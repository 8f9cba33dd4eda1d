"""GET and HEAD an image: take the raw target apart, ask the use case, answer.

Every answer has a request id; every error becomes a problem here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from time import perf_counter

from aiohttp import HttpVersion11, web

from imgproxy.cache.tiers import Entry
from imgproxy.cache_sizes import DEFAULT, CacheSizes
from imgproxy.dialects import Grammar, ImageRequest
from imgproxy.dialects.signature import Signer
from imgproxy.edge import response_headers
from imgproxy.edge.client_concurrency import ClientConcurrency
from imgproxy.edge.render import Hit, Prepared, Renderer
from imgproxy.edge.response_cache import (
    LONGEST,
    DateLine,
    PrebuiltResponse,
    ResponseCache,
    as_response,
    overridden,
)
from imgproxy.edge.response_headers import Freshness
from imgproxy.errors import BadUrl, NotFound, NotSigned, RequestError
from imgproxy.http import problems
from imgproxy.http.client_address import DIRECT, Clients
from imgproxy.http.headers import IMAGE_HEADERS
from imgproxy.http.problems import NO_METHOD, Refusal
from imgproxy.image.formats import Format
from imgproxy.image.negotiate import Output, negotiate
from imgproxy.image.options import Options
from imgproxy.image.source import Key
from imgproxy.purge.endpoint import PurgeEndpoint
from imgproxy.purge.urls import ServedUrls
from imgproxy.telemetry import AccessLine, AccessLog, Metrics, request_id

RESERVED = frozenset(
    {"v1", "s3", "-", "console", "healthz", "readyz", "metrics", "favicon.ico", "robots.txt"}
)
"""First segments that are no images; `params` is one too, and the grammar's own. `s3` is where Uppy asks."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What this edge serves."""

    unsigned: bool
    """Whether URLs without a signature are."""
    automatic: tuple[Format, ...]
    freshness: Freshness


@dataclass(slots=True)
class _Asked:
    """One request under way, and what the log will say of it."""

    http: web.BaseRequest
    id: str
    begun: float = field(default_factory=perf_counter)
    negotiated: bool = False
    cache: str = "none"


class Images:
    """The edge's one handler."""

    def __init__(
        self,
        *,
        grammar: Grammar,
        signer: Signer | None,
        policy: Policy,
        renderer: Renderer,
        metrics: Metrics,
        access_log: AccessLog,
        clock: Callable[[], float],
        purge: PurgeEndpoint | None = None,
        clients: Clients = DIRECT,
        concurrency: ClientConcurrency | None = None,
        answered: ServedUrls | None = None,
        sizes: CacheSizes = DEFAULT,
    ) -> None:
        """`answered` is told of every target that is answered with an image, if a cache in front needs it."""
        self._grammar = grammar
        self._signer = signer
        self._policy = policy
        self._renderer = renderer
        self._metrics = metrics
        self._access_log = access_log
        self._clock = clock
        self._purge = purge
        self._clients = clients
        self._concurrency = concurrency or ClientConcurrency()
        self._answered = answered
        self._read = lru_cache(sizes.parsed_urls)(self._read_once)
        self._responses = ResponseCache(sizes.response_heads)
        self._date = DateLine()

    async def handle(self, http: web.BaseRequest) -> web.StreamResponse:
        """Answer any request that no other route took."""
        asked = _Asked(http, request_id(http.headers))
        try:
            written = self._at_hand(asked)
            if written is not None:
                self._tell(asked, written.status, len(written.body))
                return as_response(written)
            response = await self._answer(asked)
        except Exception as error:
            response = problems.response_to(error, request_id=asked.id, target=http.raw_path)
            problems.cacheable(response)
            response.headers.update(IMAGE_HEADERS)
            if asked.negotiated:
                response.headers["Vary"] = "Accept"
        response.headers["X-Request-Id"] = asked.id
        body = response.body
        sent = len(body) if isinstance(body, bytes) and http.method == "GET" else 0
        self._tell(asked, response.status, sent)
        return response

    def _at_hand(self, asked: _Asked) -> PrebuiltResponse | None:
        """The answer to what was asked before and is in memory, if it may still be served."""
        http = asked.http
        cached = self._responses.get(http.raw_path, http.headers.get("Accept"))
        if cached is None or http.version != HttpVersion11 or not http.keep_alive:
            return None
        if http.method != "GET" and http.method != "HEAD":
            return None
        common = b"X-Request-Id: %b\r\n%b" % (asked.id.encode(), self._date.line(self._clock()))
        headers = http.headers
        if "If-None-Match" in headers or "If-Modified-Since" in headers:
            tags, since = headers.get("If-None-Match"), headers.get("If-Modified-Since")
            if not response_headers.not_modified(cached.prepared, tags, since):
                return None
            if not self._renderer.still_at_hand(cached.prepared):
                return None
            asked.cache = "hit"
            self._note(cached.prepared, http)
            return PrebuiltResponse(304, cached.unchanged + common + b"\r\n", b"", send_body=False)
        hit = self._renderer.at_hand(cached.prepared)
        if hit is None or hit.found.entry.damaged:  # what was written says nothing of an early end
            return None
        asked.cache = "hit"
        self._note(cached.prepared, http)
        body = hit.found.entry.body
        ok = overridden(cached.ok, self._hasty(cached.prepared)) if hit.old else cached.ok
        head = b"%b%bContent-Length: %d\r\n\r\n" % (ok, common, len(body))
        return PrebuiltResponse(200, head, body, send_body=http.method == "GET")

    async def _answer(self, asked: _Asked) -> web.Response:
        http = asked.http
        if http.method == "PURGE" and self._purge is not None:
            response = await self._purge.handle(http)
            response.headers.update(IMAGE_HEADERS)
            return response
        if http.method not in ("GET", "HEAD"):
            raise Refusal(NO_METHOD, "only GET and HEAD are served here", Allow="GET, HEAD")
        target = http.raw_path
        request = self._read(target) if len(target) <= LONGEST else self._read_once(target)
        if isinstance(request, str):
            return self._redirect(request)
        if request.answer == "params":
            return web.json_response(request.params.as_json(), headers=IMAGE_HEADERS)
        output = self._negotiate(request, http.headers.get("Accept"))
        asked.negotiated = output.negotiated
        return await self._serve(asked, request, output)

    def _negotiate(self, request: ImageRequest, accept: str | None) -> Output:
        """Facts do not depend on the client, so `/meta` is not negotiated."""
        automatic = self._policy.automatic if request.answer == "image" else ()
        return negotiate(request.transform.options.format, accept, automatic=automatic)

    async def _serve(self, asked: _Asked, request: ImageRequest, output: Output) -> web.Response:
        http = asked.http
        tags, since = http.headers.get("If-None-Match"), http.headers.get("If-Modified-Since")
        hit = None
        if tags is None and since is None:
            prepared, hit = await self._renderer.look(request, output)
        else:  # who asks by a tag has a picture to show meanwhile, and wants storage's word of now
            prepared = await self._renderer.prepare(request, output)
        self._note(prepared, http)
        headers = self._headers(prepared, "hit; detail=validator")
        if response_headers.not_modified(prepared, tags, since):
            asked.cache = "hit"
            return web.Response(status=304, headers=headers)
        if tags is not None or since is not None:
            hit = await self._renderer.cached(prepared)
        if hit is not None:
            return self._hit(asked, hit, headers)
        if http.method == "HEAD":
            return _unmade(headers, prepared)
        earlier = await self._renderer.earlier(prepared)
        if earlier is not None:
            return self._earlier(asked, earlier)
        asked.cache = "miss"
        client = self._clients.name(http)
        with self._concurrency.slot(client):
            prepared, made = await self._renderer.make(prepared, client)
        how = "; collapsed" if made.collapsed else "; stored" if made.kept else ""
        if made.entry.damaged:
            return self._damaged(made.entry, prepared, f"fwd=miss{how}")
        return _picture(made.entry, self._headers(prepared, ""), prepared, f"fwd=miss{how}")

    def _note(self, prepared: Prepared, http: web.BaseRequest) -> None:
        if self._answered is not None:
            for grant in prepared.grants:
                self._answered.note(grant.key, http.raw_path)

    def _hit(self, asked: _Asked, hit: Hit, headers: dict[str, str]) -> web.Response:
        asked.cache = "hit"
        prepared, found, old = hit
        if found.entry.damaged:
            return self._damaged(found.entry, prepared, "hit", old=old)
        picture = _picture(found.entry, headers, prepared, f"hit; detail={found.tier}")
        accept = asked.http.headers.get("Accept")
        ok = {**picture.headers, "Cache-Status": "imgproxy; hit; detail=memory"}
        self._responses.put(asked.http.raw_path, accept, prepared, ok=ok, unchanged=headers)
        if old:
            picture.headers.update(self._hasty(prepared))
        return picture

    def _earlier(self, asked: _Asked, hit: Hit) -> web.Response:
        asked.cache = "hit"
        headers = self._headers(hit.prepared, "") | self._hasty(hit.prepared)
        return _picture(hit.found.entry, headers, hit.prepared, "hit; detail=stale")

    def _damaged(
        self, entry: Entry, prepared: Prepared, cache_status: str, *, old: bool = False
    ) -> web.Response:
        """Answer with an image of a damaged original, which everybody must ask for again when it expires.

        It has no validator: a 304 would make it fresh for as long as a sound image.
        """
        now = self._clock()
        seconds = max(int((entry.expires or 0) - now), 0)
        seconds = min(seconds, response_headers.HASTY_SECONDS) if old else seconds
        headers = self._headers(prepared, "")
        headers |= response_headers.brief(
            prepared.request.transform.options, self._policy.freshness, now, seconds
        )
        for name in ("ETag", "Last-Modified"):
            headers.pop(name, None)
        return _picture(entry, headers, prepared, f"{cache_status}; detail=damaged")

    def _headers(self, prepared: Prepared, cache_status: str) -> dict[str, str]:
        return response_headers.headers(
            prepared, self._policy.freshness, now=self._clock(), cache_status=cache_status
        )

    def _hasty(self, prepared: Prepared) -> dict[str, str]:
        return response_headers.hasty(
            prepared.request.transform.options, self._policy.freshness, self._clock()
        )

    def _redirect(self, location: str) -> web.Response:
        """Redirect to the spelling that is answered with an image, on this host (RFC 9110 §15.4.9)."""
        freshness = self._policy.freshness
        headers = {
            **IMAGE_HEADERS,
            "Location": location,
            "Cache-Control": response_headers.cache_control(
                Options(), replace(freshness, stale=0), self._clock()
            ),
            "X-Accel-Expires": str(freshness.shared_ttl),
        }
        return web.Response(status=308, headers=headers)

    def _read_once(self, target: str) -> ImageRequest | str:
        """Read and authenticate a target; once more with needless escapes undone (imagor issue 258).

        Return another spelling to redirect to, so that one signature is one entry in every cache. An unsigned
        target with such escapes is answered as it is: crawlers write them anew after a redirect.
        """
        try:
            request, signature = self._authentic(target)
        except (RequestError, NotSigned):
            plain = self._grammar.unescaped(target)
            if plain is None:
                raise
            request, signature = self._authentic(plain)
            if signature is None:
                return request
        if request.answer == "params":
            return request
        spelling = self._grammar.canonical(target, request, signature)
        if spelling == target:
            return request
        if not spelling.isascii():
            raise BadUrl("the URL holds letters beyond ASCII, which must be percent-encoded and then signed")
        return spelling

    def _authentic(self, target: str) -> tuple[ImageRequest, str | None]:
        """Read a target; return its signature as we write it, too, or None if it needs none and has none."""
        if target.lstrip("/").split("/", 1)[0].split("?", 1)[0] in RESERVED:
            raise NotFound("there is nothing here")
        request = self._grammar.read(target)
        if self._signer is None and request.signature is not None and "=" not in request.signature:
            # without secrets no URL is signed here: a long first segment is a folder of the key's
            request = replace(self._grammar.read("/unsafe" + target), unsafe=False)
        return request, None if request.answer == "params" else self._signature(request)

    def _signature(self, request: ImageRequest) -> str | None:
        if request.signature is None:
            if not self._policy.unsigned:
                raise NotSigned("only signed URLs are served here: the first segment is the signature")
            return None
        signer = self._signer
        signature = None if signer is None else request.dialect.verify(request.params, signer)
        if signature is None:
            raise NotSigned("the signature does not fit the URL")
        return signature

    def _tell(self, asked: _Asked, status: int, sent: int) -> None:
        seconds = perf_counter() - asked.begun
        http = asked.http
        self._metrics.responded(status, asked.cache, sent, seconds)
        self._access_log.add(
            AccessLine(
                self._clock(),
                asked.id,
                self._clients.address(http),
                http.method,
                http.raw_path,
                status,
                sent,
                asked.cache,
                seconds,
            )
        )


def _picture(entry: Entry, headers: dict[str, str], prepared: Prepared, cache_status: str) -> web.Response:
    headers = {**headers, **_body_headers(prepared, entry.mime), "Cache-Status": f"imgproxy; {cache_status}"}
    return web.Response(body=entry.body, headers=headers)


def _unmade(headers: dict[str, str], prepared: Prepared) -> web.Response:
    """HEAD of a picture that is in no cache: making it only to count its bytes would cost a decode."""
    mime = response_headers.likely_mime(prepared, _key(prepared))
    known = {} if mime is None else _body_headers(prepared, mime)
    return web.Response(headers={**headers, **known, "Cache-Status": "imgproxy; fwd=miss"})


def _body_headers(prepared: Prepared, mime: str) -> dict[str, str]:
    options = prepared.request.transform.options
    return {
        "Content-Type": mime,
        "Content-Disposition": response_headers.disposition(options, _key(prepared), mime),
    }


def _key(prepared: Prepared) -> Key | None:
    source = prepared.request.source
    return source if isinstance(source, str) else None
