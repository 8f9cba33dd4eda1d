"""Bounds of the disk cache: the work of the one thread that writes results.

The least recently used results make room for the next one. Other processes' changes are found by visiting
each shard once in `ROUND` seconds, in small steps after writes: a scan of all would keep the disk busy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from imgproxy.cache.key import ResultKey
from imgproxy.cache.layout import SHARDS, ResultFolder
from imgproxy.cache.lru_index import LruIndex, ResultFile, in_blocks
from imgproxy.cache.tiers import Entry

ROUND = 60.0

_STEP = ROUND / len(SHARDS)


class Evictor:
    """Keeps at most `size` bytes and `files` results, and `free` bytes of the disk free."""

    def __init__(
        self,
        folder: ResultFolder,
        index: LruIndex,
        *,
        size: int,
        files: int,
        free: int,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._index = index
        self._size, self._files, self._free = size, files, free
        self._timer = timer
        self._next = 0
        self._visited = timer()
        self.evictions = 0
        self.closing = False
        """Set by another thread that waits for no more than the current write."""

    def load(self) -> None:
        """Build the index from the folder, and evict what exceeds the bounds."""
        self._folder.remove_discarded()
        self._index.load(list(self._scan()))
        self._make_room(0)

    def write(self, key: ResultKey, entry: Entry, *, size: int, now: int) -> bool:
        """Store an entry of about `size` bytes; return False if there is no room."""
        if not self._make_room(in_blocks(size)):
            return False
        self._index.add(ResultFile(key, self._folder.write(key, entry), now))
        return True

    def visit(self) -> None:
        """Reconcile the shards that are due."""
        due = int((self._timer() - self._visited) / _STEP)
        self._visited += due * _STEP
        for _ in range(min(due, len(SHARDS))):
            if self.closing:
                return
            shard = SHARDS[self._next]
            self._next = (self._next + 1) % len(SHARDS)  # first, so that a shard that fails is passed
            self._index.reconcile(shard, self._folder.shard(shard))

    def _scan(self) -> Iterator[list[ResultFile]]:
        for shard in SHARDS:
            with suppress(OSError):  # it is counted when it is visited and can be read
                if not self.closing:
                    yield sorted(self._folder.shard(shard), key=lambda file: file.used)

    def _make_room(self, size: int) -> bool:
        """Evict results until so many bytes fit; return False if the disk is too full all the same."""
        missing = self._free + size - self._folder.free_bytes()
        while self._exceeds(size) or missing > 0:
            oldest = self._index.pop_oldest()
            if oldest is None:
                break
            self._folder.remove(oldest.name)
            self.evictions += 1
            missing -= oldest.size
        return missing <= 0 or self._folder.free_bytes() >= self._free + size

    def _exceeds(self, size: int) -> bool:
        return self._index.bytes + size > self._size or len(self._index) + (size > 0) > self._files
