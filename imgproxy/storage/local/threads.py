"""A storage's own threads for blocking calls, with a deadline for each call.

A network disk may hang: callers then receive `StorageSlow`, and the threads of the rest of the process
(name resolution) stay free.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from imgproxy.errors import StorageSlow
from imgproxy.storage.local.folder import translated

_THREADS = 16

_Result = TypeVar("_Result")


class Threads:
    """A pool of threads for blocking calls of the disk."""

    def __init__(self, patience: float) -> None:
        """Wait `patience` seconds for each call."""
        self._patience = patience
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="storage")

    async def run(
        self, work: Callable[..., _Result], *arguments: object, late: Callable[[_Result], None] | None = None
    ) -> _Result:
        """Call in a thread and translate each `OSError`.

        A thread cannot be cancelled. If its caller has left, `late` receives the result in the thread, so
        that a descriptor opened too late is closed.
        """
        job = self._pool.submit(_translating, work, *arguments)
        try:
            async with asyncio.timeout(self._patience):
                return await asyncio.shield(asyncio.wrap_future(job))
        except TimeoutError as error:
            _abandon(job, late)
            raise StorageSlow("the storage did not answer in time") from error
        except asyncio.CancelledError:
            _abandon(job, late)
            raise

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=False)


def _translating(work: Callable[..., _Result], *arguments: object) -> _Result:
    with translated():
        return work(*arguments)


def _abandon(job: Future[_Result], late: Callable[[_Result], None] | None) -> None:
    def hand_over(done: Future[_Result]) -> None:
        if late and not done.cancelled() and not done.exception():
            late(done.result())

    job.add_done_callback(hand_over)
