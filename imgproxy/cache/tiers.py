"""Tiers of the result cache, tried in order, fastest first.

A tier may forget and may fail; it may not lie and may not break a request: its errors are logged misses.
Nothing is removed by a purge. It changes the keys of results, so that old ones are not found and are evicted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from imgproxy.cache.key import ResultKey
from imgproxy.image.formats import Format

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """Body of a finished response, and what its headers need."""

    body: bytes
    mime: str
    format: Format | None
    sources: tuple[str, ...]
    """Keys of all sources in it, the primary one first."""
    expires: float | None = None
    """Seconds since 1970; set only for images of damaged sources, which may be repaired in place."""

    @property
    def damaged(self) -> bool:
        """Whether a part of a source did not decode."""
        return self.expires is not None


class Tier(Protocol):
    """One store of results. `put` is whole or nothing; losing an entry is allowed, changing one is not."""

    name: str

    async def get(self, key: ResultKey) -> Entry | None:
        """Return the entry, or None."""

    async def put(self, key: ResultKey, entry: Entry) -> None:
        """Store an entry, for as long as there is room."""

    def fits(self, entry: Entry) -> bool:
        """Return whether an entry is small enough to be stored."""


@runtime_checkable
class QuickTier(Tier, Protocol):
    """A tier that can be read without waiting."""

    def at_hand(self, key: ResultKey) -> Entry | None:
        """Return the entry, or None, without waiting."""


@dataclass(frozen=True, slots=True)
class CacheHit:
    """An entry and the name of the tier that had it."""

    entry: Entry
    tier: str


class Tiers:
    """The tiers of one process."""

    def __init__(self, tiers: Sequence[Tier], *, clock: Callable[[], float] = time.time) -> None:
        """`clock` returns seconds since 1970."""
        self._tiers = tuple(tiers)
        self._clock = clock
        self._quick = next((tier for tier in self._tiers if isinstance(tier, QuickTier)), None)

    def at_hand(self, key: ResultKey) -> CacheHit | None:
        """Return the entry if it is in memory."""
        if self._quick is None:
            return None
        entry = self._quick.at_hand(key)
        return None if entry is None or self._expired(entry) else CacheHit(entry, self._quick.name)

    async def get(self, key: ResultKey) -> CacheHit | None:
        """Return the entry of the first tier that has it, and put it into the faster ones."""
        for index, tier in enumerate(self._tiers):
            try:
                entry = await tier.get(key)
            except Exception:
                _log.exception("cache tier %s failed to read", tier.name)
                continue
            if entry is not None and not self._expired(entry):
                await self._put(self._tiers[:index], key, entry)
                return CacheHit(entry, tier.name)
        return None

    def fits(self, entry: Entry) -> bool:
        """Return whether an entry is small enough for any tier."""
        return any(tier.fits(entry) for tier in self._tiers)

    async def put(self, key: ResultKey, entry: Entry) -> None:
        """Store an entry in every tier."""
        await self._put(self._tiers, key, entry)

    def _expired(self, entry: Entry) -> bool:
        return entry.expires is not None and entry.expires <= self._clock()

    async def _put(self, tiers: Sequence[Tier], key: ResultKey, entry: Entry) -> None:
        for tier in tiers:
            try:
                await tier.put(key, entry)
            except Exception:
                _log.exception("cache tier %s failed to write", tier.name)
