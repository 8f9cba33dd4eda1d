"""A fleet of one process: nobody else is to be asked or told."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from imgproxy.clients import Waiters
from imgproxy.engine.pool import Pool, Result
from imgproxy.engine.worker_protocol import Job
from imgproxy.errors import EngineFailed
from imgproxy.fleet.words import Kind, Listener
from imgproxy.image.source import Key


class Alone:
    """Runs jobs on workers of its own."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._listeners: dict[Kind, Listener] = {}
        self._numbers = count(1)

    async def run(
        self,
        job: Job,
        original: int | None = None,
        overlays: Sequence[int] = (),
        waiters: Waiters | None = None,
    ) -> Result:
        return await self._pool.run(job, original, overlays, waiters)

    async def check(self) -> None:
        require_workers(self._pool)

    def subscribe(self, kind: Kind, listener: Listener) -> None:
        self._listeners[kind] = listener

    async def spread(self, kind: Kind, key: Key) -> None:
        await self._listeners[kind](key, next(self._numbers))


def require_workers(pool: Pool) -> None:
    """Raise `EngineFailed` if no worker is alive."""
    if not pool.running and not pool.idle:
        raise EngineFailed("no worker is alive")
