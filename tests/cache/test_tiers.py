"""A tier may forget and may fail; it may not break a request."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imgproxy.cache.key import ResultKey
from imgproxy.cache.memory import MemoryTier
from imgproxy.cache.tiers import CacheHit, Entry, Tiers

KEY = ResultKey("0" * 32)
ENTRY = Entry(b"picture", "image/png", None, ("a",))


class BrokenTier:
    """A tier whose every call fails."""

    name = "broken"

    async def get(self, key: ResultKey) -> Entry | None:
        raise OSError("no such disk")

    async def put(self, key: ResultKey, entry: Entry) -> None:
        raise OSError("no such disk")


class SlowTier(MemoryTier):
    """A second tier by another name."""

    name = "slow"


async def test_the_first_tier_that_has_it_answers() -> None:
    fast, slow = MemoryTier(100_000), SlowTier(100_000)
    tiers = Tiers([fast, slow])
    await fast.put(KEY, ENTRY)
    assert await tiers.get(KEY) == CacheHit(ENTRY, "memory")


async def test_what_a_slower_tier_had_is_put_into_the_faster() -> None:
    fast, slow = MemoryTier(100_000), SlowTier(100_000)
    tiers = Tiers([fast, slow])
    await slow.put(KEY, ENTRY)
    assert await tiers.get(KEY) == CacheHit(ENTRY, "slow")
    assert await tiers.get(KEY) == CacheHit(ENTRY, "memory")


async def test_a_broken_tier_is_a_logged_miss(caplog: pytest.LogCaptureFixture) -> None:
    tiers = Tiers([BrokenTier(), MemoryTier(100_000)])
    assert await tiers.get(KEY) is None
    await tiers.put(KEY, ENTRY)
    assert await tiers.get(KEY) == CacheHit(ENTRY, "memory")
    assert "cache tier broken failed to read" in caplog.text


async def test_get_of_an_entry_that_has_expired_is_a_miss_in_every_tier() -> None:
    now = 100.0
    fast, slow = MemoryTier(100_000), SlowTier(100_000)
    tiers = Tiers([fast, slow], clock=lambda: now)
    entry = replace(ENTRY, expires=110.0)
    await slow.put(KEY, entry)
    assert await tiers.get(KEY) == CacheHit(entry, "slow")
    assert tiers.at_hand(KEY) == CacheHit(entry, "memory")
    now = 110.0
    assert await tiers.get(KEY) is None
    assert tiers.at_hand(KEY) is None
    await tiers.put(KEY, ENTRY)
    assert await tiers.get(KEY) == CacheHit(ENTRY, "memory")
