"""Recent results in memory, bounded by bytes; the least recently used go first."""

from __future__ import annotations

from collections import defaultdict

from cachetools import LRUCache

from imgproxy.cache.key import ResultKey
from imgproxy.cache.tiers import Entry

_OVERHEAD = 1_000  # bytes that Python spends on an entry beside its body, roughly


class _Bounded(LRUCache[ResultKey, Entry]):
    """Tells who is evicted, so the index of sources stays as small as the cache."""

    def __init__(self, size: int) -> None:
        super().__init__(size, getsizeof=lambda entry: len(entry.body) + _OVERHEAD)
        self.by_source: defaultdict[str, set[ResultKey]] = defaultdict(set)

    def __setitem__(self, key: ResultKey, entry: Entry) -> None:
        super().__setitem__(key, entry)
        for source in entry.sources:
            self.by_source[source].add(key)

    def __delitem__(self, key: ResultKey) -> None:
        for source in super().__getitem__(key).sources:
            self.by_source[source].discard(key)
            if not self.by_source[source]:
                del self.by_source[source]
        super().__delitem__(key)


class MemoryTier:
    """A tier of at most `size` bytes; an entry larger than a quarter of it is not kept."""

    name = "memory"

    def __init__(self, size: int) -> None:
        self._entries = _Bounded(size)
        self._largest = size // 4

    def at_hand(self, key: ResultKey) -> Entry | None:
        """The entry, or None, at once."""
        return self._entries.get(key)

    async def get(self, key: ResultKey, source: str) -> Entry | None:  # noqa: ARG002  keys are enough here
        return self._entries.get(key)

    async def put(self, key: ResultKey, entry: Entry) -> None:
        if self.fits(entry):
            self._entries[key] = entry

    async def drop(self, source: str) -> None:
        for key in list(self._entries.by_source.get(source, ())):
            del self._entries[key]

    def fits(self, entry: Entry) -> bool:
        return len(entry.body) + _OVERHEAD <= self._largest
