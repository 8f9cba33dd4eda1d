"""Results on disk, bounded by bytes, by files, and by what must stay free on the disk.

A request waits for a read, and briefly: what the disk does not give in time is a miss. Nobody waits for
a write but who puts. Three threads read and drop; one writes, makes room, and looks after the folder, so
a disk too slow for what is put costs results, which are counted, and never memory beyond `queue` bytes.

Several processes may share the folder. Each keeps its own account of it and visits the 256 parts of it in
turn, once a minute while it writes, so together they may be above `size` and `files` by what the others
wrote within that minute. What a drop promises, to all of them, is argued for in `folder`.

A drop does not know of pictures that are still being made of the old original. Whoever puts must see that
its permits hold, right before; whatever was put before the drop, even if not yet written, is gone by it.
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

from imgproxy.cache.folder import Folder, name_of
from imgproxy.cache.keeper import Keeper
from imgproxy.cache.key import ResultKey
from imgproxy.cache.ledger import Ledger
from imgproxy.cache.tiers import Entry

_log = logging.getLogger(__name__)

_READERS = 3
_WAITING = 4096  # reads; a disk that leaves more undone has stopped, and is not asked
_SILENCE = 60.0  # seconds between two lines in the log
_OVERHEAD = 1_000  # bytes of a file beside the body, roughly


@dataclass(frozen=True, slots=True)
class DiskStats:
    """What a tier has done and holds."""

    bytes: int
    files: int
    evictions: int
    dropped: int
    """Puts that were not kept: too much waited to be written, or the disk was full or failed."""


class DiskTier:
    """A tier of about `size` bytes and `files` results that leaves `free` bytes of the disk to others.

    An entry larger than a quarter of `size` is not kept.
    """

    name = "disk"

    def __init__(
        self,
        folder: Path,
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
        """Begin to read what the folder holds; it can be asked meanwhile, and what is put waits.

        `queue` is in bytes that wait to be written, `patience` in seconds for one read. `clock` tells
        nanoseconds since 1970, `timer` seconds.
        """
        self._folder = Folder(folder, clock=clock, statvfs=statvfs)
        self._ledger = Ledger()
        self._keeper = Keeper(self._folder, self._ledger, size=size, files=files, free=free, timer=timer)
        self._largest, self._queue, self._patience = size // 4, queue, patience
        self._clock, self._timer = clock, timer
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="cache-read")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="cache-write")
        self._reading = self._drops = 0
        self._undropped: set[str] = set()
        self._closed = False
        self._lock = Lock()
        self._queued = self._dropped = 0
        self._complained = timer() - _SILENCE
        self._later(self._keeper.load)

    async def get(self, key: ResultKey, source: str) -> Entry | None:
        """The entry, or None; also when the disk is slow or fails."""
        if self._closed or source in self._undropped or self._reading >= _WAITING:
            return None
        try:
            async with asyncio.timeout(self._patience):
                return await self._read(key, source)
        except OSError as error:  # a `TimeoutError` is one, too
            self._complain(error)
            return None

    async def put(self, key: ResultKey, entry: Entry) -> None:
        """Keep an entry; return when it is written, or will not be."""
        size = len(entry.body) + _OVERHEAD
        if self._closed or not self.fits(entry) or not self._undropped.isdisjoint(entry.sources):
            return
        with self._lock:
            if self._queued + size > self._queue:
                self._dropped += 1
                return
            self._queued += size
        job = self._writer.submit(self._write, key, entry, size, self._clock())
        await asyncio.shield(asyncio.wrap_future(job))

    async def drop(self, source: str) -> None:
        """Forget what this original is part of, in every process that shares the folder.

        Raise `OSError` if the disk does not let us; then at least this process does not ask for it any more.
        """
        try:
            loop = asyncio.get_running_loop()
            trash = await loop.run_in_executor(self._readers, self._folder.drop, source)
        except OSError:
            self._undropped.add(source)
            raise
        finally:
            self._drops += 1
        self._undropped.discard(source)
        if trash is not None:
            self._later(self._keeper.clear, trash)

    def fits(self, entry: Entry) -> bool:
        """Whether an entry is small enough to be kept here."""
        return len(entry.body) + _OVERHEAD <= self._largest

    async def close(self) -> None:
        """Wait for what is being written."""
        self._closed = self._keeper.leaving = True
        await asyncio.to_thread(self._writer.shutdown)
        self._readers.shutdown(wait=False)  # one may be stuck

    def stats(self) -> DiskStats:
        """Numbers for metrics, at once."""
        return DiskStats(self._ledger.bytes, self._ledger.files, self._keeper.evictions, self._dropped)

    async def _read(self, key: ResultKey, source: str) -> Entry | None:
        while True:
            drops = self._drops
            with self._lock:
                self._reading += 1
            job = self._readers.submit(self._read_file, key, source)
            # Shielded, so that what nobody waits for any more is still counted while it is in the queue.
            entry = await asyncio.shield(asyncio.wrap_future(job))
            if entry is None or not self._undropped.isdisjoint(entry.sources):
                return None
            if self._drops == drops:
                return entry
            # A drop has returned meanwhile, perhaps of what we hold in our hands.

    def _read_file(self, key: ResultKey, source: str) -> Entry | None:
        try:
            entry = self._folder.read(key, source)
        finally:
            with self._lock:
                self._reading -= 1
        if entry is not None:
            self._ledger.touch(name_of(key, source), now=self._clock())
        return entry

    def _write(self, key: ResultKey, entry: Entry, size: int, begun: int) -> None:
        kept = False
        try:
            kept = self._keeper.write(key, entry, size=size, begun=begun)
        except OSError as error:
            self._complain(error)
        finally:
            with self._lock:
                self._queued -= size
                self._dropped += not kept
        self._later(self._keeper.visit)

    def _later(self, work: Callable[..., None], *arguments: object) -> None:
        """Have something done by the thread that writes."""
        with suppress(RuntimeError):  # it is leaving
            self._writer.submit(self._guarded, work, *arguments)

    def _guarded(self, work: Callable[..., None], *arguments: object) -> None:
        try:
            work(*arguments)
        except OSError as error:
            self._complain(error)
        except Exception:
            _log.exception("the disk cache is not looked after")

    def _complain(self, error: OSError) -> None:
        with self._lock:
            if self._timer() - self._complained < _SILENCE:
                return
            self._complained = self._timer()
        _log.warning("the disk cache does without its disk: %s", str(error) or "it is too slow")
