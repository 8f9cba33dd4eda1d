"""Blocking calls in threads of our own, waited for with patience.

A network disk may hang: callers then get `StorageSlow`, and the threads of the rest of the process
(name resolution) stay free.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from imgproxy.errors import StorageSlow
from imgproxy.storage.folder import translated

_THREADS = 16

_Answer = TypeVar("_Answer")


class Threads:
    """Where a storage's calls of the disk run."""

    def __init__(self, patience: float) -> None:
        """Wait `patience` seconds for any one call."""
        self._patience = patience
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="storage")

    async def run(
        self, work: Callable[..., _Answer], *arguments: object, late: Callable[[_Answer], None] | None = None
    ) -> _Answer:
        """Work in a thread; `OSError` comes out as one of our own.

        A thread cannot be called back. If nobody waits for its answer any more, `late` is given that
        answer in the thread, so that a descriptor opened too late is closed all the same.
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


def _translating(work: Callable[..., _Answer], *arguments: object) -> _Answer:
    with translated():
        return work(*arguments)


def _abandon(job: Future[_Answer], late: Callable[[_Answer], None] | None) -> None:
    def hand_back(done: Future[_Answer]) -> None:
        if late and not done.cancelled() and not done.exception():
            late(done.result())

    job.add_done_callback(hand_back)
