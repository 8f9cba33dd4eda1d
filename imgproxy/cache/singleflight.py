"""Singleflight: callers with one key share one piece of work, and its result or error.

A caller that leaves does not end the work for the others; when the last one leaves, it is cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from imgproxy.waiters import Waiters

Result = TypeVar("Result")


@dataclass(slots=True)
class _Flight(Generic[Result]):
    task: asyncio.Task[Result]
    waiters: Waiters
    waiting: int = 0


class Singleflight(Generic[Result]):
    """Work under way, by key."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight[Result]] = {}

    async def run(
        self, key: Hashable, work: Callable[[], Awaitable[Result]], waiters: Waiters | None = None
    ) -> tuple[Result, bool]:
        """Join the work on `key`, or begin it; also tell whether it was joined.

        `waiters` are joined by those of who joins the work.
        """
        waiters = waiters or Waiters()
        flight = self._flights.get(key)
        joined = flight is not None
        if flight is None:
            flight = _Flight(asyncio.create_task(self._land(key, work)), waiters)
            self._flights[key] = flight
        else:
            flight.waiters.join(waiters)
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task), joined
        finally:
            flight.waiting -= 1
            if flight.waiting == 0 and not flight.task.done():
                self._forget(key, flight)
                flight.task.cancel()

    async def _land(self, key: Hashable, work: Callable[[], Awaitable[Result]]) -> Result:
        flight = None
        try:
            flight = self._flights.get(key)
            return await work()
        finally:
            # who comes from now on begins anew: what is finished may be older than their question
            self._forget(key, flight)

    def _forget(self, key: Hashable, flight: _Flight[Result] | None) -> None:
        if self._flights.get(key) is flight:
            self._flights.pop(key, None)
