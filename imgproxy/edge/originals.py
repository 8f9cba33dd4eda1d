"""Originals on loan: one fetch for all who need the same one at the same time.

Each borrower reads through a descriptor of its own, because two workers that shared a position in a file
would read past each other. The bytes are given back when the last borrower is done.
"""

from __future__ import annotations

import asyncio
import os
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


@dataclass(frozen=True, slots=True)
class Borrowed:
    """An original's descriptor, at its beginning, and what storage said of these very bytes."""

    descriptor: int
    version: str
    size: int


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
    async def borrow(self, key: Key, version: str) -> AsyncIterator[Borrowed]:
        """An original for as long as the context lasts; `version` says which fetches may be shared."""
        loan = self._loans.get((key, version))
        if loan is None:
            loan = _Loan(asyncio.create_task(self._storage.open(key, limit=self._limit)))
            self._loans[key, version] = loan
        loan.borrowers += 1
        try:
            original = await asyncio.shield(loan.task)
            descriptor = os.open(f"/proc/self/fd/{original.descriptor}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                yield Borrowed(descriptor, original.head.version, original.head.size)
            finally:
                os.close(descriptor)
        finally:
            loan.borrowers -= 1
            if loan.borrowers == 0:
                self._loans.pop((key, version), None)
                loan.task.cancel()
                loan.task.add_done_callback(_give_back)


def _give_back(task: asyncio.Task[Original]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
