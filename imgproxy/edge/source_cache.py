"""Source images on loan within one budget of bytes: one fetch for all requests, the last ones cached.

All borrowers share one descriptor; the engine opens it anew for each job, for a position of its own. Versions
and purge epochs are part of every name, so a source here is never stale.

The bytes of everything that one image needs are reserved together, before the first is fetched. So no
request holds some sources while it waits for others, and two requests cannot wait for each other. Unused
sources are cached within bounds of their own, count as well, and are dropped first.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from cachetools import LRUCache

from imgproxy.cache_sizes import DEFAULT
from imgproxy.engine.fair_queue import FairQueue
from imgproxy.errors import Overloaded, SourceTooLarge
from imgproxy.image.source import Key
from imgproxy.storage import OpenObject, Storage
from imgproxy.waiters import Waiters

_PATIENCE = 10.0  # seconds: a few images are made meanwhile, and a client is still there
_MOST_WAITING = 1_024  # requests; each holds a connection and some KB
_Name = tuple[Key, str, int]


class SourceRequest(NamedTuple):
    """A source that an image needs."""

    key: Key
    version: str
    """Says which fetches may be shared."""
    size: int | None = None
    """Bytes, if known; as many as one source may have are reserved if not."""
    epoch: int = 0
    """Purge epoch; a purge may change the bytes of a version."""


class SourceChanged(Exception):
    """The object is not the one that was wanted any more."""


@dataclass(slots=True, eq=False)
class _Loan:
    name: _Name
    reserved: int
    original: OpenObject | None = None
    task: asyncio.Task[OpenObject] | None = None
    borrowers: int = 0
    purged: bool = False


@dataclass(slots=True, eq=False)
class _Waiter:
    wanted: Sequence[SourceRequest]
    loans: asyncio.Future[list[_Loan]] = field(default_factory=asyncio.Future)


class _Shelf(LRUCache[_Name, OpenObject]):
    """Originals that nobody borrows; those that fall off are closed."""

    def __init__(self, size: int, files: int) -> None:
        self._files = files
        super().__init__(size, getsizeof=lambda original: original.head.size)

    def put(self, name: _Name, original: OpenObject) -> None:
        """Keep a source image, or close it if it is too large for here."""
        if original.head.size > self.maxsize:
            original.close()
            return
        self.close(name)
        while len(self) >= self._files or self.currsize + original.head.size > self.maxsize:
            self.drop_oldest()
        self[name] = original

    def close(self, name: _Name) -> None:
        """Forget a source image, if it is here."""
        original = self.pop(name, None)
        if original is not None:
            original.close()

    def drop_oldest(self) -> None:
        """Forget the least recently used."""
        self.popitem()[1].close()


class SourceCache:
    """The source images under way and the last ones, by key and version."""

    def __init__(
        self,
        storage: Storage,
        *,
        limit: int,
        keep: int = 0,
        files: int = DEFAULT.source_files,
        budget: int = sys.maxsize,
        patience: float = _PATIENCE,
    ) -> None:
        """`limit` is the maximum of bytes of one source, `keep` of all unused ones, `budget` of all.

        `files` is the maximum of unused ones. A request waits `patience` seconds, and may need half of it.
        """
        self._storage = storage
        self._limit = limit
        self._budget = max(budget, limit)
        self._share = max(self._budget // 2, limit)
        self._patience = patience
        self._loans: dict[_Name, _Loan] = {}
        self._lent = 0
        self._shelf = _Shelf(min(keep, self._budget), files)
        self._queue: FairQueue[_Waiter] = FairQueue()

    @property
    def held(self) -> int:
        """Bytes of all originals that are reserved, borrowed or kept."""
        return self._lent + int(self._shelf.currsize)

    @asynccontextmanager
    async def borrow(
        self, wanted: Sequence[SourceRequest], waiters: Waiters | None = None
    ) -> AsyncIterator[list[OpenObject]]:
        """Lend originals, in this order, for as long as the context lasts, in the turn of one who waits.

        Raise `SourceTooLarge` for more than one request may need, `Overloaded` if there is no room for them
        in time, `SourceChanged` if one is larger than it was said to be, and what storage raises.
        """
        loans = await self._reserve(wanted, waiters or Waiters())
        try:
            yield [await self._original(loan) for loan in loans]
        finally:
            self._give_back(loans)

    def purge(self, key: Key) -> None:
        """Forget a source image in every version; those who have borrowed it keep it to their end."""
        for name in [name for name in self._shelf if name[0] == key]:
            self._shelf.close(name)
        for name in [name for name in self._loans if name[0] == key]:
            self._loans.pop(name).purged = True

    def close(self) -> None:
        """Close everything that nobody borrows."""
        for name in list(self._shelf):
            self._shelf.close(name)

    async def _reserve(self, wanted: Sequence[SourceRequest], waiters: Waiters) -> list[_Loan]:
        """Reserve the bytes of all, now or when it is this request's turn."""
        total = sum(self._sizes(wanted, but=()).values())
        if total > self._share:
            raise SourceTooLarge(
                f"the sources of this image have {total} bytes together: at most {self._share} are allowed"
            )
        if self._fits(wanted):
            self._queue.count_turn(waiters.turns[0])
            return self._lend(wanted)
        if len(self._queue) >= _MOST_WAITING:
            last = self._queue.evictable(waiters.turns[0])
            if last is None:
                raise _no_place()
            self._queue.remove(last)
            if not last.loans.done():
                last.loans.set_exception(_no_place())
        waiter = _Waiter(wanted)
        self._queue.add(waiter, waiters.turns)
        with waiters.reported_to(partial(self._queue.join, waiter)):
            return await self._turn(waiter)

    async def _turn(self, waiter: _Waiter) -> list[_Loan]:
        try:
            async with asyncio.timeout(self._patience):
                return await waiter.loans
        except BaseException as error:
            if waiter in self._queue:
                self._queue.remove(waiter)
            elif _has_come(waiter.loans):  # its turn came as it left
                self._give_back(waiter.loans.result())
            self._serve_queue()  # it may have held up those behind it
            if isinstance(error, TimeoutError):
                raise Overloaded("the sources of other requests leave no room in memory") from None
            raise

    def _sizes(self, wanted: Iterable[SourceRequest], *, but: Iterable[_Name]) -> Mapping[_Name, int]:
        """Return the bytes to reserve for each source that is not among some; raise `SourceTooLarge`."""
        sizes = {}
        for key, version, size, epoch in wanted:
            if size is not None and size > self._limit:
                raise SourceTooLarge(f"the source image has more than {self._limit} bytes")
            if (key, version, epoch) not in but:
                sizes[key, version, epoch] = self._limit if size is None else size
        return sizes

    def _fits(self, wanted: Sequence[SourceRequest], *, first: bool = False) -> bool:
        """Whether there is room, in their turn, for those that are not lent to others already."""
        more = sum(self._sizes(wanted, but=self._loans).values())
        return not more or ((first or not self._queue) and self._lent + more <= self._budget)

    def _lend(self, wanted: Sequence[SourceRequest]) -> list[_Loan]:
        """Reserve, and drop as much of what is only kept as that takes."""
        for name, size in self._sizes(wanted, but=self._loans).items():
            kept = self._shelf.pop(name, None)
            self._loans[name] = _Loan(name, size if kept is None else kept.head.size, kept)
            self._lent += self._loans[name].reserved
        while self._shelf and self.held > self._budget:
            self._shelf.drop_oldest()
        loans = [self._loans[key, version, epoch] for key, version, _, epoch in wanted]
        for loan in loans:
            loan.borrowers += 1
        return loans

    def _serve_queue(self) -> None:
        """Give room to those who wait, in their turn."""
        while self._queue and self._fits(self._queue.first.wanted, first=True):
            waiter = self._queue.pop()
            if not waiter.loans.done():
                waiter.loans.set_result(self._lend(waiter.wanted))

    async def _original(self, loan: _Loan) -> OpenObject:
        if loan.original is not None:
            return loan.original
        if loan.task is None:
            loan.task = asyncio.create_task(self._fetch(loan))
        return await asyncio.shield(loan.task)

    async def _fetch(self, loan: _Loan) -> OpenObject:
        """Fetch no more than is reserved; what turns out to be smaller leaves room to others."""
        try:
            original = await self._storage.open(loan.name[0], limit=loan.reserved)
        except SourceTooLarge:
            if loan.reserved < self._limit:
                raise SourceChanged from None
            raise
        loan.original = original
        self._lent -= loan.reserved - original.head.size
        loan.reserved = original.head.size
        self._serve_queue()
        return original

    def _give_back(self, loans: Sequence[_Loan]) -> None:
        for loan in loans:
            loan.borrowers -= 1
            if loan.borrowers == 0:
                if self._loans.get(loan.name) is loan:
                    del self._loans[loan.name]
                self._end(loan)
        self._serve_queue()

    def _end(self, loan: _Loan) -> None:
        """Keep the source image at once, so that no purge can come in between; or give the fetch up."""
        if loan.task is not None and not loan.task.done():
            loan.task.cancel()
            loan.task.add_done_callback(lambda _: self._close(loan))
        elif loan.original is None or loan.purged or loan.original.head.version != loan.name[1]:
            self._close(loan)
        else:
            self._lent -= loan.reserved
            self._shelf.put(loan.name, loan.original)

    def _close(self, loan: _Loan) -> None:
        self._lent -= loan.reserved
        if loan.task is not None and not loan.task.cancelled():
            loan.task.exception()  # those who waited have been told, or have left
        if loan.original is not None:
            loan.original.close()
        self._serve_queue()


def _has_come(loans: asyncio.Future[list[_Loan]]) -> bool:
    return loans.done() and not loans.cancelled() and loans.exception() is None


def _no_place() -> Overloaded:
    return Overloaded("too many requests wait for the sources of others to be read")
