"""Disk tier: results on disk, bounded by bytes, by files, and by what must stay free.

A request waits briefly for a read; a disk that is slow or fails is a miss. Only a put waits for a write. One
thread writes, evicts and maintains the index, so a slow disk costs results and no more memory than `queue`.

Several processes may share the folder. Each counts its files, and those of others within a minute of writes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from imgproxy.cache.evictor import Evictor
from imgproxy.cache.key import ResultKey
from imgproxy.cache.layout import ResultFolder
from imgproxy.cache.lru_index import LruIndex
from imgproxy.cache.purge_epochs import PurgeEpochs
from imgproxy.cache.tiers import Entry

_log = logging.getLogger(__name__)

_READERS = 3
_WAITING = 4096  # reads; a disk that leaves more undone has stopped
_SILENCE = 60.0  # seconds between two warnings
_OVERHEAD = 1_000  # bytes of a file beside the body, roughly


@dataclass(frozen=True, slots=True)
class DiskStats:
    """Counters and sizes of a disk tier."""

    bytes: int
    files: int
    evictions: int
    dropped: int
    """Puts that were not stored: the queue was too long, or the disk was full or failed."""


class DiskTier:
    """A tier of `size` bytes and `files` results; an entry larger than a quarter of `size` is not stored."""

    name = "disk"

    def __init__(
        self,
        folder: Path,
        epochs: PurgeEpochs,
        *,
        size: int,
        files: int,
        free: int,
        queue: int = 64 * 1024 * 1024,
        patience: float = 1.0,
        clock: Callable[[], int] = time.time_ns,
        timer: Callable[[], float] = time.monotonic,
        statvfs: Callable[[Path], os.statvfs_result] = os.statvfs,
    ) -> None:
        """Begin to load the index; reads work at once, and writes wait for it.

        `free` is in bytes of the disk, `queue` in bytes that wait to be written, `patience` in seconds for a
        read. `clock` returns nanoseconds since 1970, `timer` seconds.
        """
        self._epochs = epochs
        self._folder = ResultFolder(folder, clock=clock, statvfs=statvfs)
        self._index = LruIndex()
        self._evictor = Evictor(self._folder, self._index, size=size, files=files, free=free, timer=timer)
        self._largest, self._queue, self._patience = size // 4, queue, patience
        self._clock, self._timer = clock, timer
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="cache-read")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="cache-write")
        self._lock = Lock()
        self._reading = self._queued = self._dropped = 0
        self._closed = False
        self._warned = timer() - _SILENCE
        self._maintain(self._evictor.load)

    async def get(self, key: ResultKey) -> Entry | None:
        """Return the entry, or None; also if the disk is slow or fails."""
        if self._closed or self._reading >= _WAITING:
            return None
        with self._lock:
            self._reading += 1
        job = self._readers.submit(self._read, key)
        try:
            async with asyncio.timeout(self._patience):
                # Shielded, so that a read without a reader is still counted while it is in the queue.
                return await asyncio.shield(asyncio.wrap_future(job))
        except OSError as error:  # a `TimeoutError` is one, too
            self._warn(error)
            return None

    async def put(self, key: ResultKey, entry: Entry) -> None:
        """Store an entry; return when it is written, or will not be."""
        size = len(entry.body) + _OVERHEAD
        if self._closed or not self.fits(entry):
            return
        with self._lock:
            if self._queued + size > self._queue:
                self._dropped += 1
                return
            self._queued += size
        job = self._writer.submit(self._write, key, entry, size)
        await asyncio.shield(asyncio.wrap_future(job))

    def fits(self, entry: Entry) -> bool:
        """Return whether an entry is small enough to be stored."""
        return len(entry.body) + _OVERHEAD <= self._largest

    async def close(self) -> None:
        """Wait for the writes under way."""
        self._closed = self._evictor.closing = True
        await asyncio.to_thread(self._writer.shutdown)
        self._readers.shutdown(wait=False)  # one may be stuck

    def stats(self) -> DiskStats:
        """Return counters and sizes without waiting."""
        return DiskStats(self._index.bytes, len(self._index), self._evictor.evictions, self._dropped)

    def _read(self, key: ResultKey) -> Entry | None:
        try:
            entry = self._folder.read(key)
            if entry is None or not self._epochs.are_current(entry.sources):
                return None
        finally:
            with self._lock:
                self._reading -= 1
        self._index.touch(key, now=self._clock())
        return entry

    def _write(self, key: ResultKey, entry: Entry, size: int) -> None:
        stored = False
        try:
            self._epochs.prepare()
            stored = self._evictor.write(key, entry, size=size, now=self._clock())
        except OSError as error:
            self._warn(error)
        finally:
            with self._lock:
                self._queued -= size
                self._dropped += not stored
        self._maintain(self._evictor.visit)

    def _maintain(self, work: Callable[[], None]) -> None:
        """Run maintenance in the thread that writes."""
        with suppress(RuntimeError):  # it is shutting down
            self._writer.submit(self._logged, work)

    def _logged(self, work: Callable[[], None]) -> None:
        try:
            work()
        except OSError as error:
            self._warn(error)
        except Exception:
            _log.exception("disk cache: maintenance failed")

    def _warn(self, error: OSError) -> None:
        with self._lock:
            if self._timer() - self._warned < _SILENCE:
                return
            self._warned = self._timer()
        _log.warning("disk cache: skipped while the disk fails: %s", str(error) or "it is too slow")
