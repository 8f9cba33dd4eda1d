"""What the API says of itself, to anybody: /v1/openapi.json and /v1/docs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from aiohttp import web

from imgproxy.api import docs
from imgproxy.api.openapi import Groups, document

_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Cache-Control": "no-cache",
    "Server": "imgproxy",
    "X-Content-Type-Options": "nosniff",
}


def routes(groups: Groups) -> list[web.RouteDef]:
    """The two, made once."""
    described = document(groups)
    text = json.dumps(described, ensure_ascii=False).encode()
    kind = {"Content-Type": "application/json"}
    return [
        _fixed("/v1/openapi.json", text, _HEADERS | kind),
        _fixed("/v1/docs", docs.page(described).encode(), docs.headers()),
    ]


def _fixed(path: str, body: bytes, headers: Mapping[str, str]) -> web.RouteDef:
    told = {**headers, "ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"'}

    async def show(http: web.Request) -> web.Response:
        if http.headers.get("If-None-Match") == told["ETag"]:
            return web.Response(status=304, headers=told)
        return web.Response(body=body, headers=told)

    return web.get(path, show)
