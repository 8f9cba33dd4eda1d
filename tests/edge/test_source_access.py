"""May this key be served, and in which version."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from imgproxy.cache.purge_epochs import PurgeEpochs
from imgproxy.edge.source_access import SourceAccess
from imgproxy.errors import NotFound, StorageFailed
from imgproxy.files.file_status import MemoryFileStatuses
from imgproxy.files.model import Visibility
from imgproxy.image.source import Key, parse_key
from imgproxy.storage import OWN_PREFIXES
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


def source_access(
    storage: MemoryStorage,
    access: MemoryFileStatuses | None = None,
    *,
    open_: bool = True,
    clock: Clock | None = None,
) -> SourceAccess:
    return SourceAccess(
        access or MemoryFileStatuses(),
        storage,
        PurgeEpochs(),
        unregistered=open_,
        ttl=60,
        timer=clock or Clock(),
        stale=3600,
    )


async def test_a_record_is_the_authority_and_storage_is_not_asked() -> None:
    access, storage = MemoryFileStatuses(), Watched()
    access.register(KEY, Visibility.PUBLIC, version="v1", modified=5, tenant="t")
    grant = await source_access(storage, access).authorize(KEY)
    assert (grant.version, grant.generation, grant.modified, grant.tenant) == ("v1", 1, 5, "t")
    assert storage.asked == 0


@pytest.mark.parametrize("visibility", [each for each in Visibility if each is not Visibility.PUBLIC])
async def test_only_public_files_pass_whatever_lies_in_storage(visibility: Visibility) -> None:
    access, storage = MemoryFileStatuses(), MemoryStorage()
    await storage.put(KEY, bytes_of(b"x"))
    access.register(KEY, visibility, version="v1", modified=5)
    with pytest.raises(NotFound):
        await source_access(storage, access).authorize(KEY)


async def test_unregistered_objects_are_refused_unless_the_deployment_opens_them() -> None:
    storage = MemoryStorage()
    await storage.put(KEY, bytes_of(b"x"))
    with pytest.raises(NotFound):
        await source_access(storage, open_=False).authorize(KEY)
    assert (await source_access(storage).authorize(KEY)).version


@pytest.mark.parametrize("prefix", OWN_PREFIXES)
async def test_what_the_files_api_keeps_is_never_served_unregistered(prefix: str) -> None:
    storage, key = MemoryStorage(), parse_key(f"{prefix}x.jpg")
    await storage.put(key, bytes_of(b"x"))
    with pytest.raises(NotFound):
        await source_access(storage).authorize(key)


async def test_one_question_serves_all_who_wait_and_a_while_after() -> None:
    storage, clock = Watched(), Clock()
    await storage.put(KEY, bytes_of(b"x"))
    asked = source_access(storage, clock=clock)
    await asyncio.gather(*(asked.authorize(KEY) for _ in range(20)))
    await asked.authorize(KEY)
    assert storage.asked == 1
    clock.now = 61
    await asked.authorize(KEY)
    assert storage.asked == 2


async def test_what_is_not_there_is_believed_for_seconds_only() -> None:
    storage, clock = Watched(), Clock()
    asked = source_access(storage, clock=clock)
    for _ in range(2):
        with pytest.raises(NotFound):
            await asked.authorize(KEY)
    assert storage.asked == 1
    await storage.put(KEY, bytes_of(b"x"))
    clock.now = 6
    assert (await asked.authorize(KEY)).key == KEY


async def test_what_was_forgotten_is_asked_anew() -> None:
    storage = Watched()
    await storage.put(KEY, bytes_of(b"x"))
    asked = source_access(storage)
    first = await asked.authorize(KEY)
    await storage.put(KEY, bytes_of(b"other"))
    assert await asked.authorize(KEY) == first
    asked.forget(KEY)
    assert (await asked.authorize(KEY)).version != first.version


async def test_a_storage_that_cannot_tell_is_not_taken_for_absence() -> None:
    storage = BrokenStorage()
    asked = source_access(storage)
    with pytest.raises(StorageFailed):
        await asked.authorize(KEY)
    storage.error = None
    await storage.put(KEY, bytes_of(b"x"))
    assert await asked.authorize(KEY)


async def test_while_storage_is_down_its_last_word_holds() -> None:
    storage, clock = BrokenStorage(), Clock()
    storage.error = None
    await storage.put(KEY, bytes_of(b"x"))
    asked = source_access(storage, clock=clock)
    before = await asked.authorize(KEY)
    storage.error = StorageFailed("down")
    clock.now = 3000
    assert await asked.authorize(KEY) == before
    clock.now = 10_000
    with pytest.raises(StorageFailed):
        await asked.authorize(KEY)


async def test_an_object_that_is_gone_has_no_last_word() -> None:
    storage, clock = BrokenStorage(), Clock()
    storage.error = None
    await storage.put(KEY, bytes_of(b"x"))
    asked = source_access(storage, clock=clock)
    await asked.authorize(KEY)
    await storage.delete(KEY)
    clock.now = 61
    with pytest.raises(NotFound):
        await asked.authorize(KEY)
    storage.error = StorageFailed("down")
    clock.now = 70
    with pytest.raises(StorageFailed):
        await asked.authorize(KEY)


async def test_a_purge_takes_the_last_word_too() -> None:
    storage = BrokenStorage()
    storage.error = None
    await storage.put(KEY, bytes_of(b"x"))
    asked = source_access(storage)
    await asked.authorize(KEY)
    await asked.purge(KEY)
    storage.error = StorageFailed("down")
    with pytest.raises(StorageFailed):
        await asked.authorize(KEY)


class Held(MemoryStorage):
    """A storage that tells what it had when it was asked, once it may."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()

    async def head(self, key: Key):  # type: ignore[no-untyped-def]
        found = self._objects.get(key)
        self.reached.set()
        await self.go_on.wait()
        if found is None:
            raise NotFound("no such object")
        return found.head


async def test_what_was_asked_before_a_purge_is_not_believed_after_it() -> None:
    storage = Held()
    await storage.put(KEY, bytes_of(b"x"))
    asked = source_access(storage)
    before = asyncio.create_task(asked.authorize(KEY))
    await storage.reached.wait()
    await asked.purge(KEY)
    await storage.put(KEY, bytes_of(b"other"))
    storage.go_on.set()
    grant = await before
    assert asked.voided(grant)
    assert (await asked.authorize(KEY)).version == (await storage.head(KEY)).version != grant.version


async def test_nobody_is_found_gone_by_what_was_asked_before_a_purge() -> None:
    storage = Held()
    asked = source_access(storage)
    before = asyncio.create_task(asked.authorize(KEY))
    await storage.reached.wait()
    await asked.purge(KEY)
    await storage.put(KEY, bytes_of(b"x"))
    storage.go_on.set()
    with pytest.raises(NotFound):
        await before
    assert await asked.authorize(KEY)


async def test_who_can_do_with_an_old_word_does_not_wait_for_a_new_one() -> None:
    storage, clock = Watched(), Clock()
    await storage.put(KEY, bytes_of(b"x"))
    asked = source_access(storage, clock=clock)
    fresh = await asked.authorize(KEY, old=True)
    clock.now = 61
    old = await asked.authorize(KEY, old=True)
    assert (old == fresh, old.old, fresh.old, storage.asked) == (True, True, False, 1)
    new = await asked.authorize(KEY)
    assert (new.old, storage.asked) == (False, 2)
    await asked.close()


async def test_where_storage_is_asked_each_time_nothing_old_is_given() -> None:
    storage = Watched()
    await storage.put(KEY, bytes_of(b"x"))
    asked = SourceAccess(
        MemoryFileStatuses(), storage, PurgeEpochs(), unregistered=True, ttl=0, timer=Clock(), stale=3600
    )
    grants = [await asked.authorize(KEY, old=True) for _ in range(3)]
    assert (storage.asked, asked.at_hand(KEY), grants[0].old) == (3, None, False)


async def test_the_versions_before_are_told_one_by_one_and_then_together() -> None:
    storage, other = MemoryStorage(), parse_key("logo.png")
    asked = source_access(storage)
    versions = []
    for body in (b"old", b"new"):
        for key in (KEY, other):
            await storage.put(key, bytes_of(body))
            asked.forget(key)
        versions.append(tuple([await asked.authorize(key) for key in (KEY, other)]))
    (photo, logo), now = versions
    assert asked.before(now) == [(photo, now[1]), (now[0], logo), (photo, logo)]
    assert asked.before(now[:1]) == [(photo,)]
    await asked.purge(KEY)
    assert asked.before([await asked.authorize(KEY), now[1]]) == [(await asked.authorize(KEY), logo)]


async def test_an_object_that_was_only_thought_to_have_changed_has_no_version_before() -> None:
    storage = MemoryStorage()
    await storage.put(KEY, bytes_of(b"x"))
    asked = source_access(storage)
    await asked.authorize(KEY)
    asked.forget(KEY)
    assert asked.before([await asked.authorize(KEY)]) == []


async def test_a_registered_file_has_no_version_before_though_it_had_one_without_a_record() -> None:
    storage, access = MemoryStorage(), MemoryFileStatuses()
    asked = source_access(storage, access)
    for body in (b"old", b"new"):
        await storage.put(KEY, bytes_of(body))
        asked.forget(KEY)
        grant = await asked.authorize(KEY)
    assert len(asked.before([grant])) == 1
    access.register(KEY, Visibility.PUBLIC, version=grant.version, modified=0)
    registered = asked.at_hand(KEY)
    assert registered is not None
    assert asked.before([registered]) == []


async def test_a_purge_that_is_told_again_or_late_voids_nothing_newer() -> None:
    access, storage = MemoryFileStatuses(), MemoryStorage()
    access.register(KEY, Visibility.PUBLIC, version="v1", modified=5)
    asked = source_access(storage, access)
    await asked.purge(KEY, 7)
    grant = await asked.authorize(KEY)
    for number in (3, 7):
        await asked.purge(KEY, number)
    assert (await asked.authorize(KEY), grant.epoch) == (grant, 7)
    await asked.purge(KEY, 8)
    assert await asked.authorize(KEY) != grant
