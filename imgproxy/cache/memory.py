"""Memory tier: recent results, bounded by bytes; the least recently used go first."""

from __future__ import annotations

from cachetools import LRUCache

from imgproxy.cache.key import ResultKey
from imgproxy.cache.tiers import Entry

_OVERHEAD = 1_000  # bytes that Python spends on an entry beside its body, roughly


class MemoryTier:
    """A tier of at most `size` bytes; an entry larger than a quarter of it is not stored."""

    name = "memory"

    def __init__(self, size: int) -> None:
        self._entries: LRUCache[ResultKey, Entry] = LRUCache(size, getsizeof=_size)
        self._largest = size // 4

    def at_hand(self, key: ResultKey) -> Entry | None:
        """Return the entry, or None, without waiting."""
        return self._entries.get(key)

    async def get(self, key: ResultKey) -> Entry | None:
        return self._entries.get(key)

    async def put(self, key: ResultKey, entry: Entry) -> None:
        if self.fits(entry):
            self._entries[key] = entry

    def fits(self, entry: Entry) -> bool:
        return _size(entry) <= self._largest


def _size(entry: Entry) -> int:
    return len(entry.body) + _OVERHEAD
