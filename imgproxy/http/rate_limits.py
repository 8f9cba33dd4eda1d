"""How often one caller may ask, and how often one address may show a wrong credential.

The rate is a bucket that holds a minute's requests and fills evenly, kept as one number (the generic cell
rate algorithm, ITU-T I.371 §A): the instant at which it will be full again. It counts for one process: behind
N of them a caller may have N times as much.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cachetools import TTLCache

from imgproxy.errors import RateLimited

_CALLERS = 65_536
_MINUTE = 60.0
_KNOWN_SECONDS = 3600.0


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

    def wait(self, caller: str) -> int:
        """Return whole seconds until a request would be taken; 0 is now."""
        if not self._limit:
            return 0
        now = self._timer()
        each = _MINUTE / self._limit
        return max(0, math.ceil(self._full_at.get(caller, now) + each - _MINUTE - now - 1e-9))

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


class WrongCredentials:
    """Wrong credentials by address; beyond so many a minute that address alone is refused."""

    def __init__(self, per_minute: int, *, timer: Callable[[], float] = time.monotonic) -> None:
        """0 a minute counts none."""
        self._rate = Rate(per_minute, timer=timer)
        self._known: TTLCache[str, bool] = TTLCache(_CALLERS, _KNOWN_SECONDS, timer)

    def wrong(self, client: str) -> None:
        """Count a wrong credential; raise `RateLimited` if it is one too many."""
        allowance = self._rate.take(client)
        if allowance is not None and allowance.retry_after:
            raise _too_many(allowance.retry_after)

    def right(self, client: str) -> None:
        """Note a right credential: for an hour this address is not locked out by wrong ones."""
        self._known[client] = True

    def refuse_locked(self, client: str) -> None:
        """Raise `RateLimited` if no credential of this address is looked at, so that none can be guessed."""
        wait = self._rate.wait(client)
        if wait and client not in self._known:
            raise _too_many(wait)


def _too_many(wait: int) -> RateLimited:
    return RateLimited(f"too many wrong credentials: come again in {wait} s", retry_after=wait)
