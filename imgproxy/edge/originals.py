"""Originals on loan: one fetch for all who need the same one, and the last ones kept for the next width.

All borrowers share one descriptor; whoever reads takes a position of their own (the engine opens it anew
for each job). What nobody borrows any more stays within a budget of bytes and descriptors, the least
recently used goes first. Versions are part of every name, so nothing here can be out of date, only forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from cachetools import LRUCache

from imgproxy.image.source import Key
from imgproxy.storage import Original

_DESCRIPTORS = 256
_Name = tuple[Key, str]


class OpenStorage(Protocol):
    """What is needed of a storage here."""

    async def open(self, key: Key, *, limit: int) -> Original:
        """Hand out a whole object."""


@dataclass(slots=True)
class _Loan:
    task: asyncio.Task[Original]
    borrowers: int = 0
    purged: bool = False


class _Shelf(LRUCache[_Name, Original]):
    """Originals that nobody borrows; those that fall off are closed."""

    def __init__(self, size: int) -> None:
        super().__init__(size, getsizeof=lambda original: original.head.size)

    def put(self, name: _Name, original: Original) -> None:
        """Keep an original, or close it if it is too large for here."""
        if original.head.size > self.maxsize:
            original.close()
            return
        self.close(name)
        while len(self) >= _DESCRIPTORS or self.currsize + original.head.size > self.maxsize:
            self.popitem()[1].close()
        self[name] = original

    def close(self, name: _Name) -> None:
        """Forget an original, if it is here."""
        original = self.pop(name, None)
        if original is not None:
            original.close()


class Originals:
    """The originals under way and the last ones, by key and version."""

    def __init__(self, storage: OpenStorage, *, limit: int, keep: int = 0) -> None:
        """`limit` is the most bytes of one original, `keep` of all that nobody borrows."""
        self._storage = storage
        self._limit = limit
        self._loans: dict[_Name, _Loan] = {}
        self._shelf = _Shelf(keep)

    @asynccontextmanager
    async def borrow(self, key: Key, version: str) -> AsyncIterator[Original]:
        """An original for as long as the context lasts; `version` says which fetches may be shared."""
        name = key, version
        loan = self._loans.get(name)
        if loan is None:
            loan = self._loans[name] = _Loan(asyncio.create_task(self._fetch(name)))
        loan.borrowers += 1
        try:
            yield await asyncio.shield(loan.task)
        finally:
            loan.borrowers -= 1
            if loan.borrowers == 0:
                if self._loans.get(name) is loan:
                    del self._loans[name]
                self._end(name, loan)

    def purge(self, key: Key) -> None:
        """Forget an original in every version; those who have borrowed it keep it to their end."""
        for name in [name for name in self._shelf if name[0] == key]:
            self._shelf.close(name)
        for name in [name for name in self._loans if name[0] == key]:
            self._loans.pop(name).purged = True

    def close(self) -> None:
        """Close everything that nobody borrows."""
        for name in list(self._shelf):
            self._shelf.close(name)

    async def _fetch(self, name: _Name) -> Original:
        kept = self._shelf.pop(name, None)
        return kept if kept is not None else await self._storage.open(name[0], limit=self._limit)

    def _end(self, name: _Name, loan: _Loan) -> None:
        """Keep the original at once, so that no purge can come in between; or give the fetch up."""
        if not loan.task.done():
            loan.task.cancel()
            loan.task.add_done_callback(_close)
        elif loan.purged or not _came_as(loan.task, name[1]):
            _close(loan.task)
        else:
            self._shelf.put(name, loan.task.result())


def _came_as(task: asyncio.Task[Original], version: str) -> bool:
    return not task.cancelled() and task.exception() is None and task.result().head.version == version


def _close(task: asyncio.Task[Original]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
