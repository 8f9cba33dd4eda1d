"""Try again what may pass: a bounded number of times, each time later, never in step with others.

The pause is drawn evenly from nothing up to a bound that doubles ("full jitter",
https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/): clients that were refused
together do not come back together. Which calls may be repeated at all, and how long everything may
take, is for the caller to know.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Retry:
    """How often to try, and how long to pause between."""

    tries: int = 4
    """In all, the first included."""
    base: float = 0.1
    """Seconds: the first pause is at most this long."""
    cap: float = 2.0
    """Seconds: no pause is longer."""
    random: Callable[[], float] = random.random
    """From 0 to 1."""
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep

    async def run(
        self, call: Callable[[], Awaitable[_Answer]], *, passes: Callable[[Exception], bool]
    ) -> _Answer:
        """Return the answer of `call`; raise its last fault, or its first one that will not pass."""
        for failed in range(1, self.tries):
            try:
                return await call()
            except Exception as fault:
                if not passes(fault):
                    raise
            await self.sleep(self.pause(failed))
        return await call()

    def pause(self, failed: int) -> float:
        """Draw the seconds to wait after so many failed tries."""
        bound: float = min(self.cap, self.base * 2 ** (failed - 1))
        return bound * self.random()
