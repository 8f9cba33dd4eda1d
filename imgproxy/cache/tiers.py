"""Where results are kept: tiers, asked in order, fastest first.

A tier may forget and may fail; it may not lie and may not break a request: what it raises is logged and
counts as a miss. A result found in a slower tier is put into the faster ones.
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
    """One finished answer, whole, and what of it the headers tell."""

    body: bytes
    mime: str
    format: Format | None
    sources: tuple[str, ...]
    """The keys of all originals in it, the primary one first; a purge of any drops it."""
    expires: float | None = None
    """Seconds since 1970; None of all but images of damaged originals, which may be mended in place."""

    @property
    def damaged(self) -> bool:
        """Whether a part of a source image did not decode."""
        return self.expires is not None

    @property
    def primary(self) -> str:
        """The source image that it is kept under; empty for a plain colour."""
        return self.sources[0] if self.sources else ""


class Tier(Protocol):
    """One place for results. `put` is whole or nothing; losing an entry is allowed, changing one is not."""

    name: str

    async def get(self, key: ResultKey, source: str) -> Entry | None:
        """The entry, or None; `source` is the primary original's key, or empty."""

    async def put(self, key: ResultKey, entry: Entry) -> None:
        """Keep an entry, for as long as there is room."""

    async def drop(self, source: str) -> None:
        """Forget every result that this original is part of."""

    def fits(self, entry: Entry) -> bool:
        """Whether an entry is small enough to be kept here."""


@runtime_checkable
class QuickTier(Tier, Protocol):
    """A tier that need not be waited for."""

    def at_hand(self, key: ResultKey) -> Entry | None:
        """The entry, or None, at once."""


@dataclass(frozen=True, slots=True)
class CacheHit:
    """An entry and the tier that had it."""

    entry: Entry
    tier: str


class Tiers:
    """The tiers of one process."""

    def __init__(self, tiers: Sequence[Tier], *, clock: Callable[[], float] = time.time) -> None:
        """`clock` tells seconds since 1970."""
        self._tiers = tuple(tiers)
        self._clock = clock
        self._quick = next((tier for tier in self._tiers if isinstance(tier, QuickTier)), None)

    def at_hand(self, key: ResultKey) -> CacheHit | None:
        """What can be answered without waiting for anything."""
        if self._quick is None:
            return None
        entry = self._quick.at_hand(key)
        return None if entry is None or self._expired(entry) else CacheHit(entry, self._quick.name)

    async def get(self, key: ResultKey, source: str) -> CacheHit | None:
        """Ask each tier in turn."""
        for index, tier in enumerate(self._tiers):
            try:
                entry = await tier.get(key, source)
            except Exception:
                _log.exception("cache tier %s failed to read", tier.name)
                continue
            if entry is not None and not self._expired(entry):
                await self._put(self._tiers[:index], key, entry)
                return CacheHit(entry, tier.name)
        return None

    def fits(self, entry: Entry) -> bool:
        """Whether an entry is small enough for any tier."""
        return any(tier.fits(entry) for tier in self._tiers)

    async def put(self, key: ResultKey, entry: Entry) -> None:
        """Keep an entry in every tier."""
        await self._put(self._tiers, key, entry)

    async def drop(self, source: str) -> None:
        """Forget a source image's results everywhere; slowest first, or a hit there would come back up."""
        for tier in reversed(self._tiers):
            try:
                await tier.drop(source)
            except Exception:
                _log.exception("cache tier %s failed to drop", tier.name)

    def _expired(self, entry: Entry) -> bool:
        return entry.expires is not None and entry.expires <= self._clock()

    async def _put(self, tiers: Sequence[Tier], key: ResultKey, entry: Entry) -> None:
        for tier in tiers:
            try:
                await tier.put(key, entry)
            except Exception:
                _log.exception("cache tier %s failed to write", tier.name)
