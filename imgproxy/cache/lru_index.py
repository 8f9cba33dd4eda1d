"""Index of results on disk, in order of use: one process's view of a folder that others write to as well.

Sizes are in whole blocks. An entry costs about 350 bytes of memory. Any thread may call.
"""

from __future__ import annotations

import heapq
import time
from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from threading import Lock
from typing import NamedTuple

_BLOCK = 4096  # disks allocate whole blocks: a result of 100 bytes takes this much
_SHARD = 2  # letters of a name
_STEP = 50  # entries loaded between two yields of the interpreter lock, in about 0.1 ms

SAME_USE = 60 * 1_000_000_000
"""Nanoseconds within which a second use is not written to the file."""


class ResultFile(NamedTuple):
    """File of one result."""

    name: str
    """Begins with the name of its shard."""
    size: int
    used: int
    """Nanoseconds since 1970, up to a minute too early."""


class LruIndex:
    """Files in order of use."""

    def __init__(self) -> None:
        self._lock = Lock()
        # Size and time of use, in plain tuples: the garbage collector would traverse a million of named ones.
        self._files: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._shards: defaultdict[str, set[str]] = defaultdict(set)
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._files)

    def add(self, file: ResultFile) -> None:
        """Add or replace a file as the one used last."""
        with self._lock:
            self._add(file)

    def touch(self, name: str, *, now: int) -> None:
        """Record a use of a file, if it is known."""
        with self._lock:
            if file := self._files.get(name):
                self._files[name] = file[0], now
                self._files.move_to_end(name)

    def pop_oldest(self) -> ResultFile | None:
        """Remove and return the least recently used file."""
        with self._lock:
            return self._forget(next(iter(self._files))) if self._files else None

    def load(self, shards: Iterable[list[ResultFile]]) -> None:
        """Add all files of a folder, each shard in order of use."""
        for count, file in enumerate(heapq.merge(*shards, key=lambda file: file.used)):
            if count % _STEP == 0:
                time.sleep(0)  # the event loop waits for the interpreter lock
            self.add(file)

    def reconcile(self, shard: str, found: Iterable[ResultFile]) -> None:
        """Correct one shard; a file that another process has written counts as used now."""
        by_name = {file.name: file for file in found}
        with self._lock:
            for name in self._shards[shard] - by_name.keys():
                self._forget(name)
            for file in by_name.values():
                known = self._files.get(file.name)
                if known is None or known[0] != in_blocks(file.size) or known[1] + SAME_USE < file.used:
                    self._add(file)

    def _add(self, file: ResultFile) -> None:
        self._forget(file.name)
        self._files[file.name] = in_blocks(file.size), file.used
        self._shards[file.name[:_SHARD]].add(file.name)
        self.bytes += in_blocks(file.size)

    def _forget(self, name: str) -> ResultFile | None:
        known = self._files.pop(name, None)
        if known is None:
            return None
        self.bytes -= known[0]
        self._shards[name[:_SHARD]].discard(name)
        return ResultFile(name, *known)


def in_blocks(size: int) -> int:
    """Return the bytes that a file of this size takes on disk."""
    return -(-size // _BLOCK) * _BLOCK
