"""The one pool of workers, offered to every edge: jobs of one name under way at once are one job.

A name says the picture and the purges that its originals were fetched after (`edge.render`), so nobody is
given what was made of bytes that were read before a purge which they know of.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Protocol

from imgproxy.cache.singleflight import Singleflight
from imgproxy.clients import Waiters
from imgproxy.engine.pool import Result
from imgproxy.engine.worker_protocol import Job
from imgproxy.errors import EngineFailed
from imgproxy.fleet.channel import Lent
from imgproxy.fleet.words import Await, Run


class Engine(Protocol):
    """What is needed of `engine.pool`."""

    async def run(self, job: Job, original: int | None, overlays: Sequence[int], waiters: Waiters) -> Result:
        """Make one picture from descriptors, which stay the caller's."""


class Workshop:
    """Runs what edges ask for; a job is given up when the last who wants it is gone."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._flights: Singleflight[Result] = Singleflight()

    async def run(self, asked: Run, lent: Lent) -> Result:
        """Join the job of this name, or begin it with these descriptors."""
        waiters = Waiters(*asked.clients)

        async def work() -> Result:
            return await self._begin(asked, lent, waiters)

        if not asked.job.name:
            return await work()
        result, _ = await self._flights.run(asked.job.name, work, waiters)
        return result

    def join(self, asked: Await) -> None:
        """Let the job of this name be called up in another client's turn, too."""
        self._flights.join(asked.name, Waiters(asked.client))

    async def _begin(self, asked: Run, lent: Lent, waiters: Waiters) -> Result:
        """Keep the descriptors to the end: who lent them may leave before."""
        with ExitStack() as held:
            descriptors = lent.take()
            for each in descriptors:
                held.callback(os.close, each)
            if len(descriptors) != asked.original + len(asked.job.overlays):
                raise EngineFailed("the picture could not be made")  # who lent them left in this very moment
            original = descriptors.pop(0) if asked.original else None
            return await self._engine.run(asked.job, original, descriptors, waiters)
