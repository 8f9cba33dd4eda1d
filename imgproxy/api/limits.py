"""How much one caller may ask of us: requests a minute, bytes and seconds of a body.

The rate is a bucket that holds a minute's requests and fills evenly, kept as one number (the generic cell
rate algorithm, ITU-T I.371 §A): the instant at which it will be full again. It counts for one process: behind
N of them a caller may have N times as much.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import web
from cachetools import TTLCache

from imgproxy.api.endpoints import MAX_BODY_BYTES
from imgproxy.errors import BodyTooLarge, InvalidRequest

BODY_SECONDS = 15.0
_CALLERS = 65_536
_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a caller has left."""

    limit: int
    remaining: int
    retry_after: int = 0
    """Whole seconds until the next request is taken; 0 means that this one is."""

    @property
    def headers(self) -> Mapping[str, str]:
        return {"X-RateLimit-Limit": str(self.limit), "X-RateLimit-Remaining": str(self.remaining)}


class Rate:
    """Counts requests by caller."""

    def __init__(self, per_minute: int, *, timer: Callable[[], float]) -> None:
        """`timer` tells seconds that only go on; 0 requests a minute means any number."""
        self._limit = per_minute
        self._timer = timer
        self._full_at: TTLCache[str, float] = TTLCache(_CALLERS, _MINUTE, timer)

    def take(self, caller: str) -> Allowance | None:
        """Count a request; None where nothing is counted."""
        if not self._limit:
            return None
        now = self._timer()
        each = _MINUTE / self._limit
        full_at = max(now, self._full_at.get(caller, now)) + each
        left = (_MINUTE - (full_at - now)) / each
        if left < -1e-9:  # what floats lose must not cost a request
            return Allowance(self._limit, 0, retry_after=max(1, math.ceil(-left * each)))
        self._full_at[caller] = full_at
        return Allowance(self._limit, math.floor(left + 1e-9))


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
        if size > limit:  # also where it says no length, and where it grew by being unpacked
            raise _too_large(limit)
    return b"".join(parts)


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body is expected to have at most {limit} bytes")
