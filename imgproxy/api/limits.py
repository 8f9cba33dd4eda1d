"""Bounds on the body of a request: bytes and seconds."""

from __future__ import annotations

import asyncio

from aiohttp import web

from imgproxy.api.endpoints import MAX_BODY_BYTES
from imgproxy.errors import BodyTooLarge, InvalidRequest

BODY_SECONDS = 15.0


async def read_body(http: web.Request, *, limit: int = MAX_BODY_BYTES) -> bytes:
    """A request's body; raise `BodyTooLarge`, or `InvalidRequest` if it does not come."""
    if (http.content_length or 0) > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _collected(http, limit)
    except TimeoutError:
        raise InvalidRequest(f"the body did not arrive within {BODY_SECONDS:.0f} s") from None


async def _collected(http: web.Request, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := await http.content.readany():
        parts.append(part)
        size += len(part)
        if size > limit:  # also where it says no length
            raise _too_large(limit)
    return b"".join(parts)


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body is expected to have at most {limit} bytes")
