"""May this key be served, and in which version."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from imgproxy.edge.admission import RESERVED_PREFIXES, Admission
from imgproxy.errors import NotFound, StorageFailed
from imgproxy.files.access import MemoryAccess
from imgproxy.files.model import Visibility
from imgproxy.image.source import Key, parse_key
from imgproxy.storage.memory import MemoryStorage
from tests.storage.broken import BrokenStorage

KEY = parse_key("photo.jpg")


class Watched(MemoryStorage):
    """Counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    async def head(self, key: Key):  # type: ignore[no-untyped-def]
        self.asked += 1
        await asyncio.sleep(0)
        return await super().head(key)


async def bytes_of(body: bytes) -> AsyncIterator[bytes]:
    yield body


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def admission(
    storage: MemoryStorage,
    access: MemoryAccess | None = None,
    *,
    open_: bool = True,
    clock: Clock | None = None,
) -> Admission:
    return Admission(
        access or MemoryAccess(),
        storage,
        unregistered=open_,
        ttl=60,
        timer=clock or Clock(),
        stale=3600,
    )


async def test_a_record_is_the_authority_and_storage_is_not_asked() -> None:
    access, storage = MemoryAccess(), Watched()
    access.register(KEY, Visibility.PUBLIC, version="v1", modified=5, tenant="t")
    permit = await admission(storage, access).admit(KEY)
    assert (permit.version, permit.generation, permit.modified, permit.tenant) == ("v1", 1, 5, "t")
    assert storage.asked == 0


@pytest.mark.parametrize("visibility", [each for each in Visibility if each is not Visibility.PUBLIC])
async def test_only_public_files_pass_whatever_lies_in_storage(visibility: Visibility) -> None:
    access, storage = MemoryAccess(), MemoryStorage()
    await storage.put(KEY, bytes_of(b"x"))
    access.register(KEY, visibility, version="v1", modified=5)
    with pytest.raises(NotFound):
        await admission(storage, access).admit(KEY)


async def test_unregistered_objects_are_refused_unless_the_deployment_opens_them() -> None:
    storage = MemoryStorage()
    await storage.put(KEY, bytes_of(b"x"))
    with pytest.raises(NotFound):
        await admission(storage, open_=False).admit(KEY)
    assert (await admission(storage).admit(KEY)).version


@pytest.mark.parametrize("prefix", RESERVED_PREFIXES)
async def test_what_the_files_api_keeps_is_never_served_unregistered(prefix: str) -> None:
    storage, key = MemoryStorage(), parse_key(f"{prefix}x.jpg")
    await storage.put(key, bytes_of(b"x"))
    with pytest.raises(NotFound):
        await admission(storage).admit(key)


async def test_one_question_serves_all_who_wait_and_a_while_after() -> None:
    storage, clock = Watched(), Clock()
    await storage.put(KEY, bytes_of(b"x"))
    asked = admission(storage, clock=clock)
    await asyncio.gather(*(asked.admit(KEY) for _ in range(20)))
    await asked.admit(KEY)
    assert storage.asked == 1
    clock.now = 61
    await asked.admit(KEY)
    assert storage.asked == 2


async def test_what_is_not_there_is_believed_for_seconds_only() -> None:
    storage, clock = Watched(), Clock()
    asked = admission(storage, clock=clock)
    for _ in range(2):
        with pytest.raises(NotFound):
            await asked.admit(KEY)
    assert storage.asked == 1
    await storage.put(KEY, bytes_of(b"x"))
    clock.now = 6
    assert (await asked.admit(KEY)).key == KEY


async def test_what_was_forgotten_is_asked_anew() -> None:
    storage = Watched()
    await storage.put(KEY, bytes_of(b"x"))
    asked = admission(storage)
    first = await asked.admit(KEY)
    await storage.put(KEY, bytes_of(b"other"))
    assert await asked.admit(KEY) == first
    asked.forget(KEY)
    assert (await asked.admit(KEY)).version != first.version


async def test_a_storage_that_cannot_tell_is_not_taken_for_absence() -> None:
    storage = BrokenStorage()
    asked = admission(storage)
    with pytest.raises(StorageFailed):
        await asked.admit(KEY)
    storage.error = None
    await storage.put(KEY, bytes_of(b"x"))
    assert await asked.admit(KEY)


async def test_while_storage_is_down_its_last_word_holds() -> None:
    storage, clock = BrokenStorage(), Clock()
    storage.error = None
    await storage.put(KEY, bytes_of(b"x"))
    asked = admission(storage, clock=clock)
    before = await asked.admit(KEY)
    storage.error = StorageFailed("down")
    clock.now = 3000
    assert await asked.admit(KEY) == before
    clock.now = 10_000
    with pytest.raises(StorageFailed):
        await asked.admit(KEY)


async def test_an_object_that_is_gone_has_no_last_word() -> None:
    storage, clock = BrokenStorage(), Clock()
    storage.error = None
    await storage.put(KEY, bytes_of(b"x"))
    asked = admission(storage, clock=clock)
    await asked.admit(KEY)
    await storage.delete(KEY)
    clock.now = 61
    with pytest.raises(NotFound):
        await asked.admit(KEY)
    storage.error = StorageFailed("down")
    clock.now = 70
    with pytest.raises(StorageFailed):
        await asked.admit(KEY)


async def test_a_purge_takes_the_last_word_too() -> None:
    storage = BrokenStorage()
    storage.error = None
    await storage.put(KEY, bytes_of(b"x"))
    asked = admission(storage)
    await asked.admit(KEY)
    asked.purge(KEY)
    storage.error = StorageFailed("down")
    with pytest.raises(StorageFailed):
        await asked.admit(KEY)
