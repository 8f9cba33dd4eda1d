"""The object gateway, `/-/{key}`: signed URLs of storages that clients cannot reach directly.

With `IMGPROXY_DOWNLOADS=proxy` it also serves the downloads of files from any storage.

The signature in the URL is the only permission; cookies and `Authorization` are ignored. So any page may use
a URL that it received, and `Access-Control-Allow-Origin: *` exposes nothing. A client that expects
`100-continue` is refused before it sends the body.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from time import perf_counter

from aiohttp import web

from imgproxy.api.get_object import Files, get_object
from imgproxy.api.put_object import PutStorage, check, put_object
from imgproxy.errors import NotSigned
from imgproxy.http import problems
from imgproxy.http.client_address import DIRECT, Clients
from imgproxy.http.cors import Cors
from imgproxy.http.problems import NO_EXPECTATION, NO_METHOD, Refusal
from imgproxy.image.source import Key
from imgproxy.storage.signed_url import PREFIX, UrlSigner
from imgproxy.telemetry import AccessLine, AccessLog, request_id

_EXPOSED = "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag, Location, X-Request-Id"
_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,1024}")


class ObjectGateway:
    """The handler of `/-/`."""

    def __init__(
        self,
        files: Files,
        *,
        url_signer: UrlSigner,
        sink: PutStorage | None,
        cors: Cors,
        access_log: AccessLog,
        clock: Callable[[], float],
        patience: float = 30.0,
        arrived: Callable[[Key], Awaitable[object]] | None = None,
        clients: Clients = DIRECT,
    ) -> None:
        """Serve files and, with a `sink`, store objects; `url_signer` verifies the URLs of both.

        A client that is silent for `patience` seconds is disconnected; `arrived` is called for whole objects.
        """
        self._arrived = arrived
        self._files = files
        self._url_signer = url_signer
        self._sink = sink
        self._methods = "GET, HEAD, PUT, OPTIONS" if sink is not None else "GET, HEAD, OPTIONS"
        self._cors = cors
        self._access_log = access_log
        self._clock = clock
        self._patience = patience
        self._clients = clients

    def routes(self) -> list[web.RouteDef]:
        """Return the route of every method and path below `/-/`."""
        path = PREFIX + "{key:(?s:.+)}"
        return [web.route("*", path, self.handle, expect_handler=self.expect)]

    async def handle(self, http: web.Request) -> web.StreamResponse:
        """Respond to a request and log it."""
        begun = perf_counter()
        common = self._common(http)
        try:
            response = await self._answer(http, common)
        except Exception as error:
            response = _refused(error, http, common)
        self._tell(http, common["X-Request-Id"], response, perf_counter() - begun)
        return response

    async def expect(self, http: web.Request) -> web.StreamResponse | None:
        """Send `100 Continue` for an acceptable PUT, and refuse any other before its body."""
        try:
            if http.headers["Expect"].lower() != "100-continue":
                raise Refusal(NO_EXPECTATION, "100-continue is all that can be expected")
            signed = self._url_signer.read(http.method, http.raw_path)
            check(signed, http)
        except (Refusal, NotSigned) as error:
            return _refused(error, http, self._common(http))
        await http.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        http.writer.output_size = 0  # the response has not begun
        return None

    async def _answer(self, http: web.Request, common: dict[str, str]) -> web.StreamResponse:
        if http.method == "OPTIONS":
            return web.Response(status=204, headers={**common, **_preflight(http, self._methods)})
        sink = self._sink if http.method == "PUT" else None
        if sink is None and http.method not in ("GET", "HEAD"):
            raise Refusal(NO_METHOD, f"{self._methods} are served here", Allow=self._methods)
        signed = self._url_signer.read(http.method, http.raw_path)
        if sink is not None:
            etag = await put_object(sink, signed, http, patience=self._patience)
            if self._arrived is not None and signed.part is None:
                await self._arrived(signed.key)
            return web.Response(headers={**common, "ETag": etag})
        return await get_object(self._files, signed, http, common=common, patience=self._patience)

    def _common(self, http: web.Request) -> dict[str, str]:
        """Return the headers of every response."""
        common = {
            "Access-Control-Expose-Headers": _EXPOSED,
            "Server": "imgproxy",
            "X-Request-Id": request_id(http.headers),
        }
        return {**self._cors.headers(http.headers.get("Origin")), **common}

    def _tell(self, http: web.Request, id_: str, response: web.StreamResponse, seconds: float) -> None:
        """Log the request without its signature."""
        target = http.raw_path.partition("?")[0]
        sent = (response.content_length or 0) if http.method == "GET" else 0
        status = response.status
        client = self._clients.address(http)
        line = AccessLine(self._clock(), id_, client, http.method, target, status, sent, "none", seconds)
        self._access_log.add(line)


def _preflight(http: web.Request, methods: str) -> dict[str, str]:
    """Return the headers of a preflight response (https://fetch.spec.whatwg.org/#cors-preflight-fetch)."""
    wanted = http.headers.get("Access-Control-Request-Headers", "")
    return {
        "Access-Control-Allow-Methods": methods,
        "Access-Control-Allow-Headers": wanted if _NAMES.fullmatch(wanted) else "*",
        "Access-Control-Max-Age": "7200",
    }


def _refused(error: Exception, http: web.Request, common: dict[str, str]) -> web.Response:
    """Return the response to an error; the signed URL is not logged."""
    response = problems.response_to(
        problems.files_error(error),
        request_id=common["X-Request-Id"],
        target=http.raw_path.partition("?")[0],
        accept=http.headers.get("Accept", ""),
    )
    response.headers.update(common)
    return response
