"""From what an endpoint answers to bytes and headers, and from those to HTTP."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from imgproxy.api.endpoints import JSON, Answer
from imgproxy.http.headers import names_etag


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it goes out, and as it is remembered."""

    status: int
    headers: dict[str, str]
    body: bytes
    replayed: bool = False


def reply(answer: Answer, *, status: int) -> Reply:
    """The bytes of an answer; `status` unless it says another."""
    headers = dict(answer.headers or {})
    if answer.etag is not None:
        headers["ETag"] = answer.etag
    body = answer.body.model_dump_json(by_alias=True).encode() if answer.body is not None else b""
    return Reply(answer.status or status, headers, body)


def written(http: web.Request, found: Reply) -> web.Response:
    """The HTTP answer: for nobody else to keep, and only its headers for who has the same already."""
    etag = found.headers.get("ETag")
    headers = {"Cache-Control": "private, no-cache" if etag else "no-store", **found.headers}
    if found.replayed:
        headers["Idempotency-Replayed"] = "true"
    if etag and http.method in ("GET", "HEAD") and names_etag(http.headers.get("If-None-Match"), etag):
        return web.Response(status=304, headers=headers)
    if found.body:
        headers["Content-Type"] = f"{JSON}; charset=utf-8"
    return web.Response(status=found.status, body=found.body, headers=headers)
