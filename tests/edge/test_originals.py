"""Originals on loan."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from imgproxy.edge.originals import Originals
from imgproxy.errors import NotFound, SourceTooLarge
from imgproxy.image.source import parse_key
from imgproxy.storage.memory import MemoryStorage
from tests.storage.broken import HeldStorage

KEY = parse_key("photo.jpg")


async def bytes_of(body: bytes) -> AsyncIterator[bytes]:
    yield body


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def stored(storage: MemoryStorage, body: bytes = b"original", *, keep: int = 0) -> Originals:
    await storage.put(KEY, bytes_of(body))
    return Originals(storage, limit=1_000, keep=keep)


async def version(storage: MemoryStorage) -> str:
    return (await storage.head(KEY)).version


async def read(originals: Originals, name: str = "v") -> bytes:
    async with originals.borrow(KEY, name) as original:
        return os.pread(original.descriptor, 100, 0)


async def test_borrowers_at_the_same_time_share_one_fetch() -> None:
    storage = HeldStorage()
    originals = await stored(storage)
    borrowers = [asyncio.create_task(read(originals)) for _ in range(8)]
    await storage.reached.wait()
    storage.release()
    assert await asyncio.gather(*borrowers) == [b"original"] * 8
    assert storage.waited == ["open"]


async def test_the_bytes_are_given_back_by_the_last_borrower() -> None:
    originals = await stored(MemoryStorage())
    before = descriptors()
    async with originals.borrow(KEY, "v") as first:
        async with originals.borrow(KEY, "v") as second:
            assert first.descriptor == second.descriptor
        assert os.pread(first.descriptor, 8, 0) == b"original"
    await asyncio.sleep(0)
    assert descriptors() == before


async def test_one_who_leaves_early_does_not_take_the_fetch_along() -> None:
    storage = HeldStorage()
    originals = await stored(storage)
    leaver, stayer = (asyncio.create_task(read(originals)) for _ in range(2))
    await storage.reached.wait()
    leaver.cancel()
    storage.release()
    assert await stayer == b"original"


async def test_a_fetch_that_nobody_waits_for_is_ended_and_leaves_nothing() -> None:
    storage = HeldStorage()
    originals = await stored(storage)
    before = descriptors()
    leaver = asyncio.create_task(read(originals))
    await storage.reached.wait()
    leaver.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaver
    storage.release()
    await asyncio.sleep(0.01)
    assert descriptors() == before


async def test_failures_come_through_and_are_not_kept() -> None:
    storage = MemoryStorage()
    originals = Originals(storage, limit=4)
    with pytest.raises(NotFound):
        await read(originals)
    await storage.put(KEY, bytes_of(b"too long"))
    with pytest.raises(SourceTooLarge):
        await read(originals)
    await storage.put(KEY, bytes_of(b"fits"))
    assert await read(originals) == b"fits"


async def test_the_last_ones_are_kept_for_the_next_width() -> None:
    storage = HeldStorage()
    storage.release()
    originals = await stored(storage, keep=1_000)
    now = await version(storage)
    assert [await read(originals, now), await read(originals, now)] == [b"original"] * 2
    assert storage.waited == ["open"]
    originals.close()


async def test_what_came_in_another_version_than_was_asked_for_is_not_kept() -> None:
    storage = HeldStorage()
    storage.release()
    originals = await stored(storage, keep=1_000)
    for _ in range(2):
        await read(originals, "an older version")
    assert storage.waited == ["open"] * 2


async def test_what_is_larger_than_there_is_room_for_is_not_kept() -> None:
    storage = HeldStorage()
    storage.release()
    originals = await stored(storage, keep=4)
    before = descriptors()
    await read(originals, await version(storage))
    await asyncio.sleep(0)
    assert descriptors() == before


async def test_the_least_recently_used_makes_room() -> None:
    storage = HeldStorage()
    storage.release()
    originals = Originals(storage, limit=1_000, keep=20)  # two of eight bytes fit
    keys = [parse_key(name) for name in ("a", "b", "c")]
    before = descriptors()
    for key in keys:
        await storage.put(key, bytes_of(b"original"))
        async with originals.borrow(key, (await storage.head(key)).version):
            pass
        await asyncio.sleep(0)
    assert descriptors() == before + 2
    originals.close()
    assert descriptors() == before


async def test_what_is_purged_is_fetched_again_and_who_has_it_keeps_it() -> None:
    storage = HeldStorage()
    storage.release()
    originals = await stored(storage, keep=1_000)
    now, before = await version(storage), descriptors()
    async with originals.borrow(KEY, now) as original:
        originals.purge(KEY)
        assert os.pread(original.descriptor, 8, 0) == b"original"
        await read(originals, now)
    originals.purge(KEY)
    await read(originals, now)
    await asyncio.sleep(0)
    originals.close()
    assert (storage.waited, descriptors()) == (["open"] * 3, before)
