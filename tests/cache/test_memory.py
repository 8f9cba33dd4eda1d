"""Results in memory, bounded by bytes."""

from __future__ import annotations

from imgproxy.cache.key import ResultKey
from imgproxy.cache.memory import MemoryTier
from imgproxy.cache.tiers import Entry
from imgproxy.image.formats import Format


def entry(size: int, *sources: str) -> Entry:
    return Entry(b"x" * size, "image/png", Format.PNG, sources)


def name(number: int) -> ResultKey:
    return ResultKey(f"{number:032x}")


async def test_what_was_put_is_got() -> None:
    tier = MemoryTier(100_000)
    await tier.put(name(1), entry(10, "a"))
    assert await tier.get(name(1)) == entry(10, "a")
    assert await tier.get(name(2)) is None


async def test_the_bodies_never_exceed_the_bound() -> None:
    tier = MemoryTier(100_000)
    for number in range(100):
        await tier.put(name(number), entry(9_000, "a"))
    kept = [found for number in range(100) if (found := await tier.get(name(number)))]
    assert 5 <= len(kept) <= 10


async def test_the_least_recently_used_goes_first() -> None:
    tier = MemoryTier(40_000)
    for number in range(4):
        await tier.put(name(number), entry(8_000))
    await tier.get(name(0))
    await tier.put(name(9), entry(8_000))
    assert await tier.get(name(0)) is not None
    assert await tier.get(name(1)) is None


async def test_one_large_entry_does_not_drive_out_all_others() -> None:
    tier = MemoryTier(40_000)
    await tier.put(name(1), entry(100))
    await tier.put(name(2), entry(20_000))
    assert await tier.get(name(2)) is None
    assert await tier.get(name(1)) is not None


async def test_putting_again_replaces() -> None:
    tier = MemoryTier(100_000)
    await tier.put(name(1), entry(10, "a"))
    await tier.put(name(1), entry(20, "a"))
    found = await tier.get(name(1))
    assert found is not None
    assert len(found.body) == 20
