"""Memory keeps the promises of a storage."""

from __future__ import annotations

import pytest

from imgproxy.image.source import Key
from imgproxy.storage import Storage
from imgproxy.storage.memory import MemoryStorage
from tests.storage.contract import (
    KEY,
    MultipartContract,
    PresignContract,
    StorageContract,
    chunked,
)


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


class TestMemoryStorage(StorageContract):
    async def plant(self, storage: Storage, key: Key) -> None:
        assert isinstance(storage, MemoryStorage)
        await storage.put(Key("planted"), chunked(b"x"))
        storage._objects[key] = storage._objects.pop(Key("planted"))


class TestPresigned(PresignContract):
    pass


class TestMultipart(MultipartContract):
    pass


async def test_time_is_told() -> None:
    head = await MemoryStorage(clock=lambda: 12.5).put(KEY, chunked(b"x"))
    assert head.modified == 12.5


async def test_listing_bears_deletion_meanwhile() -> None:
    storage = MemoryStorage()
    for key in ("a", "b", "c"):
        await storage.put(Key(key), chunked(b"x"))
    listing = storage.list()
    await anext(listing)
    await storage.delete(Key("b"))
    assert [key async for key, _ in listing] == ["c"]
