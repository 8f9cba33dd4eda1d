"""Which results lie on disk, how large they are, and who goes first when room is needed.

It is what one process believes of a folder that others write to as well. `reconcile` corrects it; a name
that is not there any more, or that nobody knows, is never an error. Any thread may call.

An entry costs about 450 bytes of memory.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from threading import Lock
from typing import NamedTuple

_BLOCK = 4096  # what disks give out: a result of 100 bytes takes this much
_SHARD = 2  # letters

SAME_USE = 60 * 1_000_000_000
"""Nanoseconds within which a second use is not written down."""


class Seen(NamedTuple):
    """A file as it lies on disk."""

    name: str
    """Begins with its shard."""
    size: int
    used: int
    """Nanoseconds since 1970, up to a minute too early."""


class _Kept(NamedTuple):
    size: int
    used: int


class Ledger:
    """The files in order of use; sizes are in whole blocks."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._shards: defaultdict[str, set[str]] = defaultdict(set)
        self._bytes = 0

    @property
    def bytes(self) -> int:
        """What all files take on disk."""
        return self._bytes

    @property
    def files(self) -> int:
        """How many there are."""
        return len(self._kept)

    def add(self, seen: Seen) -> None:
        """Note a file as the one used last, in place of what had its name."""
        with self._lock:
            self._forget(seen.name)
            self._add(seen)

    def touch(self, name: str, *, now: int) -> None:
        """Note that a file was used."""
        with self._lock:
            if kept := self._kept.get(name):
                self._kept[name] = kept._replace(used=now)
                self._kept.move_to_end(name)

    def forget(self, name: str) -> None:
        """Note that a file is gone."""
        with self._lock:
            self._forget(name)

    def oldest(self) -> tuple[str, int] | None:
        """Take out the file that was used least recently; its name and size."""
        with self._lock:
            if not self._kept:
                return None
            name = next(iter(self._kept))
            size = self._kept[name].size
            self._forget(name)
            return name, size

    def load(self, found: Iterable[Seen]) -> None:
        """Begin with what a whole folder holds."""
        for seen in sorted(found, key=lambda each: each.used):
            self.add(seen)

    def reconcile(self, shard: str, found: Iterable[Seen]) -> None:
        """Correct one shard to what was found there.

        What others have written since the last time counts as used now, which is true to within the time
        between two visits.
        """
        by_name = {seen.name: seen for seen in found}
        with self._lock:
            for name in self._shards.get(shard, set()) - by_name.keys():
                self._forget(name)
            for seen in by_name.values():
                kept = self._kept.get(seen.name)
                if kept is None or kept.used + SAME_USE < seen.used or kept.size != whole_blocks(seen.size):
                    self._forget(seen.name)
                    self._add(seen)

    def _add(self, seen: Seen) -> None:
        size = whole_blocks(seen.size)
        self._kept[seen.name] = _Kept(size, seen.used)
        self._shards[seen.name[:_SHARD]].add(seen.name)
        self._bytes += size

    def _forget(self, name: str) -> None:
        kept = self._kept.pop(name, None)
        if kept is not None:
            self._bytes -= kept.size
            self._shards[name[:_SHARD]].discard(name)


def whole_blocks(size: int) -> int:
    """The bytes that a file of this size takes on disk."""
    return -(-size // _BLOCK) * _BLOCK
