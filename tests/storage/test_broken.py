"""What goes wrong on purpose goes wrong as it was told, and is a storage otherwise."""

from __future__ import annotations

import asyncio

import pytest

from imgproxy.errors import StorageFailed, StorageSlow
from tests.storage.broken import BrokenStorage, HeldStorage, SlowStorage
from tests.storage.contract import KEY, PLENTY, chunked, content, keys, stored, unfinished


async def test_broken_storage_fails_as_it_is_told_until_it_is_mended() -> None:
    storage = BrokenStorage(StorageSlow("slow"))
    for call in (
        storage.head(KEY),
        storage.open(KEY, limit=PLENTY),
        storage.put(KEY, chunked(b"x")),
        storage.copy(KEY, KEY),
        storage.delete(KEY),
        storage.check(),
        content(storage, KEY),
        keys(storage),
        storage.presign("GET", KEY, expires=1),
        storage.multipart.begin(KEY),
        storage.multipart.presign(KEY, "id", number=1, expires=1),
        storage.multipart.receive(KEY, "id", number=1, chunks=chunked(b"x")),
        storage.multipart.parts(KEY, "id"),
        storage.multipart.complete(KEY, "id", []),
        storage.multipart.abort(KEY, "id"),
        unfinished(storage),
    ):
        with pytest.raises(StorageSlow):
            await call
    storage.error = None
    await stored(storage)
    whole = ["head", "open", "put", "copy", "delete", "check", "read", "list", "presign"]
    parted = ["begin", "presign", "receive", "parts", "complete", "abort", "list"]
    assert storage.calls == [*whole, *(f"multipart.{call}" for call in parted), "put"]


async def test_broken_storage_may_fail_in_some_calls_only() -> None:
    storage = BrokenStorage(only=("open",))
    await stored(storage)
    with pytest.raises(StorageFailed):
        await storage.open(KEY, limit=PLENTY)


async def test_slow_storage_takes_its_time() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    storage = SlowStorage(3.0, sleep=sleep)
    await stored(storage)
    await content(storage, KEY)
    assert slept == [3.0, 3.0]


async def test_held_storage_waits_for_the_test() -> None:
    storage = HeldStorage()
    await stored(storage)
    opening = asyncio.create_task(storage.open(KEY, limit=PLENTY))
    await storage.reached.wait()
    assert not opening.done()
    storage.release()
    (await opening).close()
    assert storage.waited == ["open"]
