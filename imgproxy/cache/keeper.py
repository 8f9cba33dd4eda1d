"""What keeps a folder of results within its bounds: the work of the one thread that writes there.

Before a result is written, the least recently used make room for it. What other processes do to the folder
is seen by visiting its parts in turn, each once in `ROUND` seconds: in small steps after writes, for a scan
of everything at once would keep the disk busy for seconds. As long as nothing is written, nothing is due.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from imgproxy.cache.folder import SHARDS, Folder, name_of
from imgproxy.cache.key import ResultKey
from imgproxy.cache.ledger import Ledger, Seen, whole_blocks
from imgproxy.cache.tiers import Entry

ROUND = 60.0

_STEP = ROUND / len(SHARDS)


class Keeper:
    """Keeps at most `size` bytes and `files` results, and `free` bytes of the disk free; for one thread."""

    def __init__(
        self,
        folder: Folder,
        ledger: Ledger,
        *,
        size: int,
        files: int,
        free: int,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._ledger = ledger
        self._size, self._files, self._free = size, files, free
        self._timer = timer
        self._next = 0
        self._visited = timer()
        self.evictions = 0
        self.leaving = False
        """Set by another thread that does not want to wait for more than a write."""

    def load(self) -> None:
        """Take stock of what is there, and remove what is too much."""
        self._folder.prepare()
        for _ in self._folder.clear_leftovers():
            pass
        found: list[Seen] = []
        for shard in SHARDS:
            if self.leaving:
                return
            with suppress(OSError):  # it is counted when it is visited and can be read
                found += self._folder.shard(shard)
        self._ledger.load(found)
        self._make_room(0)

    def write(self, key: ResultKey, entry: Entry, *, size: int, begun: int) -> bool:
        """Store an entry of about `size` bytes; False if there is no room."""
        self._folder.prepare()
        if not self._make_room(whole_blocks(size)):
            return False
        written = self._folder.write(key, entry, begun=begun)
        if written is not None:
            self._ledger.add(Seen(name_of(key, entry.primary), written, begun))
        return True

    def clear(self, trash: Path) -> None:
        """Remove what a drop has taken away."""
        for name in self._folder.clear(trash):
            self._ledger.forget(name)

    def visit(self) -> None:
        """See what others have done to the parts of the folder whose turn it is."""
        due = int((self._timer() - self._visited) / _STEP)
        self._visited += due * _STEP
        for _ in range(min(due, len(SHARDS))):
            if self.leaving:
                return
            self._visit_next()

    def _visit_next(self) -> None:
        shard = SHARDS[self._next]
        self._next = (self._next + 1) % len(SHARDS)  # first, so that one that fails is not tried for ever
        self._ledger.reconcile(shard, self._folder.shard(shard))
        if self._next == 0:
            for name in self._folder.clear_leftovers():
                self._ledger.forget(name)

    def _make_room(self, size: int) -> bool:
        """Remove results until so many bytes fit; False if the disk is too full all the same."""
        short = self._free + size - self._folder.space()
        while self._too_much(size) or short > 0:
            oldest = self._ledger.oldest()
            if oldest is None:
                break
            name, freed = oldest
            self._folder.remove(name)
            self.evictions += 1
            short -= freed
        return short <= 0 or self._folder.space() >= self._free + size

    def _too_much(self, size: int) -> bool:
        coming = 1 if size else 0
        return self._ledger.bytes + size > self._size or self._ledger.files + coming > self._files
