"""Originals on loan: one fetch for all who need the same one at the same time.

All borrowers share one descriptor; whoever reads takes a position of their own (the engine opens it anew
for each job). The bytes are given back when the last borrower is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from imgproxy.image.source import Key
from imgproxy.storage import Original


class OpenStorage(Protocol):
    """What is needed of a storage here."""

    async def open(self, key: Key, *, limit: int) -> Original:
        """Hand out a whole object."""


@dataclass(slots=True)
class _Loan:
    task: asyncio.Task[Original]
    borrowers: int = 0


class Originals:
    """The originals under way, by key and version."""

    def __init__(self, storage: OpenStorage, *, limit: int) -> None:
        self._storage = storage
        self._limit = limit
        self._loans: dict[tuple[Key, str], _Loan] = {}

    @asynccontextmanager
    async def borrow(self, key: Key, version: str) -> AsyncIterator[Original]:
        """An original for as long as the context lasts; `version` says which fetches may be shared."""
        loan = self._loans.get((key, version))
        if loan is None:
            loan = _Loan(asyncio.create_task(self._storage.open(key, limit=self._limit)))
            self._loans[key, version] = loan
        loan.borrowers += 1
        try:
            yield await asyncio.shield(loan.task)
        finally:
            loan.borrowers -= 1
            if loan.borrowers == 0:
                self._loans.pop((key, version), None)
                loan.task.cancel()
                loan.task.add_done_callback(_give_back)


def _give_back(task: asyncio.Task[Original]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
