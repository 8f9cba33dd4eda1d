"""May this key be served, and in which version: asked for every request, hit or miss, before any byte moves.

A registered file's record is the authority. Objects without a record follow the deployment: refused, or
public with the version that storage tells; that is believed for a while, and one question serves all who
wait. While storage cannot tell, what it said last still holds (RFC 5861, stale-if-error), so that what is
in a cache is served on. Unknown, private and deleted are one answer, `NotFound`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cachetools import LRUCache, TTLCache

from imgproxy.cache.flight import Flights
from imgproxy.errors import NotFound, SourceError
from imgproxy.files.access import Access, Record
from imgproxy.files.model import Visibility
from imgproxy.image.source import Key

RESERVED_PREFIXES = ("staging/", "files/")
"""Where the files API keeps its own objects; they are served through their records or not at all."""

_ENTRIES = 65_536
_ABSENT_SECONDS = 5.0  # how long «not there» is believed: an upload must not stay invisible


class Header(Protocol):
    """What is needed of `storage.Head`."""

    @property
    def version(self) -> str: ...
    @property
    def modified(self) -> float: ...


class HeadStorage(Protocol):
    """What is needed of a storage here."""

    async def head(self, key: Key) -> Header:
        """Describe an object or raise `NotFound`."""


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to serve one object, in one version; equal permits mean that nothing has changed."""

    key: Key
    version: str
    generation: int
    modified: float
    """Seconds since 1970."""
    tenant: str = ""
    purges: int = 0
    """How often the key was purged; what was made before the last time is not served."""


def _absent() -> NotFound:
    return NotFound("there is no such public image")


class Admission:
    """The authority on keys for one process."""

    def __init__(
        self,
        access: Access,
        storage: HeadStorage,
        *,
        unregistered: bool,
        ttl: float,
        timer: Callable[[], float],
        stale: float = 0,
    ) -> None:
        """`ttl` is for how many seconds storage's word is believed, `stale` for how many when it is down."""
        self._access = access
        self._storage = storage
        self._unregistered = unregistered
        self._known: TTLCache[Key, Permit] = TTLCache(_ENTRIES, ttl, timer)
        self._absent: TTLCache[Key, bool] = TTLCache(_ENTRIES, min(ttl, _ABSENT_SECONDS), timer)
        self._last: TTLCache[Key, Permit] = TTLCache(_ENTRIES, stale, timer)
        self._flights: Flights[Permit] = Flights()
        self._purges: LRUCache[Key, int] = LRUCache(_ENTRIES)

    async def admit(self, key: Key) -> Permit:
        """Leave to serve a key now; raise `NotFound`, or a `SourceError` when storage cannot tell."""
        record = await self._access.look(key)
        if record is not None:
            if record.visibility is not Visibility.PUBLIC:
                raise _absent()
            return self._permit(record)
        if not self._unregistered or key.startswith(RESERVED_PREFIXES) or key in self._absent:
            raise _absent()
        known = self._known.get(key)
        if known is not None:
            return known
        asked = key, self._purges.get(key, 0)
        permit, _ = await self._flights.run(asked, lambda: self._ask(key))
        return permit

    def at_hand(self, key: Key) -> Permit | None:
        """Leave to serve a key now as far as memory knows; None means that `admit` must be asked."""
        record = self._access.at_hand(key)
        if record is None:
            return self._known.get(key) if self._unregistered else None
        if record.visibility is not Visibility.PUBLIC:
            return None
        return self._permit(record)

    def purge(self, key: Key) -> None:
        """Void every permit for a key that was given until now, and ask storage anew."""
        self._purges[key] = self._purges.get(key, 0) + 1
        self._last.pop(key, None)
        self.forget(key)

    def _permit(self, record: Record) -> Permit:
        purges = self._purges.get(record.key, 0)
        return Permit(record.key, record.version, record.generation, record.modified, record.tenant, purges)

    def forget(self, key: Key) -> None:
        """Ask storage anew for the next request: the object is known to have changed."""
        self._known.pop(key, None)
        self._absent.pop(key, None)

    async def _ask(self, key: Key) -> Permit:
        try:
            head = await self._storage.head(key)
        except NotFound:
            self._absent[key] = True
            self._last.pop(key, None)
            raise _absent() from None
        except SourceError:
            last = self._last.get(key)
            if last is None:
                raise
            self._known[key] = last
            return last
        permit = Permit(key, head.version, 0, head.modified, purges=self._purges.get(key, 0))
        self._known[key] = self._last[key] = permit
        return permit
