"""Originals on loan."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from imgproxy.edge.source_cache import SourceCache, SourceChanged, SourceRequest
from imgproxy.errors import NotFound, Overloaded, SourceTooLarge
from imgproxy.image.source import parse_key
from imgproxy.storage.memory import MemoryStorage
from imgproxy.waiters import Waiters
from tests.storage.broken import HeldStorage

KEY = parse_key("photo.jpg")


async def bytes_of(body: bytes) -> AsyncIterator[bytes]:
    yield body


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def stored(storage: MemoryStorage, body: bytes = b"original", *, keep: int = 0) -> SourceCache:
    await storage.put(KEY, bytes_of(body))
    return SourceCache(storage, limit=1_000, keep=keep)


async def version(storage: MemoryStorage) -> str:
    return (await storage.head(KEY)).version


async def read(sources: SourceCache, name: str = "v") -> bytes:
    async with sources.borrow([SourceRequest(KEY, name)]) as (original,):
        return os.pread(original.descriptor, 100, 0)


async def test_borrowers_at_the_same_time_share_one_fetch() -> None:
    storage = HeldStorage()
    sources = await stored(storage)
    borrowers = [asyncio.create_task(read(sources)) for _ in range(8)]
    await storage.reached.wait()
    storage.release()
    assert await asyncio.gather(*borrowers) == [b"original"] * 8
    assert storage.waited == ["open"]


async def test_the_bytes_are_given_back_by_the_last_borrower() -> None:
    sources = await stored(MemoryStorage())
    before = descriptors()
    async with sources.borrow([SourceRequest(KEY, "v")]) as (first,):
        async with sources.borrow([SourceRequest(KEY, "v")]) as (second,):
            assert first.descriptor == second.descriptor
        assert os.pread(first.descriptor, 8, 0) == b"original"
    await asyncio.sleep(0)
    assert descriptors() == before


async def test_one_who_leaves_early_does_not_take_the_fetch_along() -> None:
    storage = HeldStorage()
    sources = await stored(storage)
    leaver, stayer = (asyncio.create_task(read(sources)) for _ in range(2))
    await storage.reached.wait()
    leaver.cancel()
    storage.release()
    assert await stayer == b"original"


async def test_a_fetch_that_nobody_waits_for_is_ended_and_leaves_nothing() -> None:
    storage = HeldStorage()
    sources = await stored(storage)
    before = descriptors()
    leaver = asyncio.create_task(read(sources))
    await storage.reached.wait()
    leaver.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaver
    storage.release()
    await asyncio.sleep(0.01)
    assert descriptors() == before


async def test_failures_come_through_and_are_not_kept() -> None:
    storage = MemoryStorage()
    sources = SourceCache(storage, limit=4)
    with pytest.raises(NotFound):
        await read(sources)
    await storage.put(KEY, bytes_of(b"too long"))
    with pytest.raises(SourceTooLarge):
        await read(sources)
    await storage.put(KEY, bytes_of(b"fits"))
    assert await read(sources) == b"fits"


async def test_the_last_ones_are_kept_for_the_next_width() -> None:
    storage = HeldStorage()
    storage.release()
    sources = await stored(storage, keep=1_000)
    now = await version(storage)
    assert [await read(sources, now), await read(sources, now)] == [b"original"] * 2
    assert storage.waited == ["open"]
    sources.close()


async def test_what_came_in_another_version_than_was_asked_for_is_not_kept() -> None:
    storage = HeldStorage()
    storage.release()
    sources = await stored(storage, keep=1_000)
    for _ in range(2):
        await read(sources, "an older version")
    assert storage.waited == ["open"] * 2


async def test_what_is_larger_than_there_is_room_for_is_not_kept() -> None:
    storage = HeldStorage()
    storage.release()
    sources = await stored(storage, keep=4)
    before = descriptors()
    await read(sources, await version(storage))
    await asyncio.sleep(0)
    assert descriptors() == before


async def test_the_least_recently_used_makes_room() -> None:
    storage = HeldStorage()
    storage.release()
    sources = SourceCache(storage, limit=1_000, keep=20)  # two of eight bytes fit
    keys = [parse_key(name) for name in ("a", "b", "c")]
    before = descriptors()
    for key in keys:
        await storage.put(key, bytes_of(b"original"))
        async with sources.borrow([SourceRequest(key, (await storage.head(key)).version)]):
            pass
        await asyncio.sleep(0)
    assert descriptors() == before + 2
    sources.close()
    assert descriptors() == before


async def test_what_is_purged_is_fetched_again_and_who_has_it_keeps_it() -> None:
    storage = HeldStorage()
    storage.release()
    sources = await stored(storage, keep=1_000)
    now, before = await version(storage), descriptors()
    async with sources.borrow([SourceRequest(KEY, now)]) as (original,):
        sources.purge(KEY)
        assert os.pread(original.descriptor, 8, 0) == b"original"
        await read(sources, now)
    sources.purge(KEY)
    await read(sources, now)
    await asyncio.sleep(0)
    sources.close()
    assert (storage.waited, descriptors()) == (["open"] * 3, before)


# -- one budget --------------------------------------------------------------------------------------------


class Shop:
    """Sources of 10 bytes each, `a` to `j`, and what borrows them."""

    def __init__(self, *, budget: int, keep: int = 0, patience: float = 30) -> None:
        self.storage = HeldStorage()
        self.sources = SourceCache(self.storage, limit=50, keep=keep, budget=budget, patience=patience)
        self.may_leave = asyncio.Event()
        self.inside = 0
        self.entered: list[str] = []

    async def open(self) -> Shop:
        for name in "abcdefghijklmno":
            await self.storage.put(parse_key(name), bytes_of(b"0123456789"))
        return self

    def wanted(self, names: str) -> list[SourceRequest]:
        return [SourceRequest(parse_key(name), "v", 10) for name in names]

    async def visit(self, names: str, client: str = "") -> None:
        async with self.sources.borrow(self.wanted(names), Waiters(client)) as borrowed:
            assert [os.pread(each.descriptor, 10, 0) for each in borrowed] == [b"0123456789"] * len(names)
            self.inside += 1
            self.entered.append(client)
            await self.may_leave.wait()
        self.inside -= 1

    async def enter(self, names: str, client: str = "") -> asyncio.Task[None]:
        """Begin a visit, and return when it is inside or has to wait."""
        task = asyncio.create_task(self.visit(names, client))
        for _ in range(20):
            await asyncio.sleep(0)
        return task


async def test_bytes_are_reserved_before_the_first_is_fetched() -> None:
    shop = await Shop(budget=100).open()
    await shop.enter("abcde")
    assert (shop.sources.held, shop.storage.waited) == (50, ["open"])
    shop.storage.release()


async def test_a_request_waits_for_room_and_shares_what_is_borrowed() -> None:
    shop = await Shop(budget=60).open()
    shop.storage.release()
    visits = [await shop.enter(names) for names in ("abcde", "fgh", "abcde", "e", "f")]
    assert (shop.inside, shop.sources.held) == (3, 50)  # three that share, and two that wait
    shop.may_leave.set()
    await asyncio.gather(*visits)
    assert shop.sources.held == 0


async def test_requests_for_each_others_sources_do_not_deadlock() -> None:
    shop = await Shop(budget=60).open()
    shop.storage.release()
    first = await shop.enter("abcde")
    rest = [await shop.enter(names) for names in ("jihgf", "cdefg", "gfedc", "ijabc")]
    assert (shop.inside, shop.sources.held) == (1, 50)
    shop.may_leave.set()
    async with asyncio.timeout(5):
        await asyncio.gather(first, *rest)
    assert (shop.inside, shop.sources.held) == (0, 0)


async def test_those_who_wait_are_served_in_the_order_in_which_they_came() -> None:
    shop = await Shop(budget=100).open()
    shop.storage.release()
    visits = [await shop.enter(names) for names in ("abcd", "efgh")]
    for name in "klmno":
        await shop.storage.put(parse_key(name), bytes_of(b"0123456789"))
    visits += [await shop.enter(names) for names in ("klmno", "ij", "a")]
    assert (shop.inside, shop.sources.held) == (3, 80)  # there is room for two, and one was before them
    shop.may_leave.set()
    await asyncio.gather(*visits)


async def test_borrow_takes_clients_in_turns() -> None:
    shop = await Shop(budget=50).open()
    shop.storage.release()
    visits = [await shop.enter("abcde", "greedy"), await shop.enter("fghij", "greedy")]
    visits.append(await shop.enter("klmno", "newcomer"))
    shop.may_leave.set()
    await asyncio.gather(*visits)
    assert shop.entered == ["greedy", "newcomer", "greedy"]


async def test_borrow_with_a_full_queue_refuses_the_last_of_the_client_with_the_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("imgproxy.edge.source_cache._MOST_WAITING", 2)
    shop = await Shop(budget=100).open()
    shop.storage.release()
    inside = [await shop.enter(names) for names in ("abcde", "fghij")]
    greedy = [await shop.enter(name, "greedy") for name in "kl"]
    newcomer = await shop.enter("k", "newcomer")
    with pytest.raises(Overloaded):
        await greedy[1]
    with pytest.raises(Overloaded):
        await shop.visit("l", "another")
    shop.may_leave.set()
    await asyncio.gather(*inside, greedy[0], newcomer)
    assert (shop.inside, shop.sources.held) == (0, 0)


async def test_more_than_half_of_the_budget_is_refused_at_once() -> None:
    shop = await Shop(budget=100).open()
    with pytest.raises(SourceTooLarge, match="have 60 bytes together: at most 50 are allowed"):
        await shop.visit("abcdef")
    assert (shop.sources.held, shop.storage.waited) == (0, [])


async def test_the_same_source_twice_is_reserved_once() -> None:
    shop = await Shop(budget=100).open()
    shop.storage.release()
    visit = await shop.enter("aabbaaabb")
    assert shop.sources.held == 20
    shop.may_leave.set()
    await visit
    assert shop.sources.held == 0


async def test_a_source_above_the_limit_is_refused_before_it_is_fetched() -> None:
    shop = await Shop(budget=100).open()
    with pytest.raises(SourceTooLarge, match="more than 50 bytes"):
        async with shop.sources.borrow([SourceRequest(parse_key("a"), "v", 51)]):
            pass
    assert shop.storage.waited == []


async def test_a_source_that_has_grown_is_changed_and_not_read_beyond_what_is_reserved() -> None:
    shop = await Shop(budget=100).open()
    shop.storage.release()
    with pytest.raises(SourceChanged):
        async with shop.sources.borrow([SourceRequest(parse_key("a"), "v", 9)]):
            pass
    assert shop.sources.held == 0


async def test_a_source_of_unknown_size_reserves_the_limit_until_it_is_there() -> None:
    shop = await Shop(budget=100).open()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_unknown(shop))
        await shop.storage.reached.wait()
        assert shop.sources.held == 50
        shop.storage.release()
    assert shop.sources.held == 0


async def _unknown(shop: Shop) -> None:
    async with shop.sources.borrow([SourceRequest(parse_key("a"), "v")]):
        assert shop.sources.held == 10


async def test_who_finds_no_room_in_time_is_told_to_come_again() -> None:
    shop = await Shop(budget=100, patience=0.05).open()
    shop.storage.release()
    visits = [await shop.enter(names) for names in ("abcde", "fghij")]
    await shop.storage.put(parse_key("k"), bytes_of(b"0123456789"))
    with pytest.raises(Overloaded) as refused:
        await shop.visit("k")
    assert refused.value.retry_after == 1
    shop.may_leave.set()
    await asyncio.gather(*visits)
    assert shop.sources.held == 0


async def test_who_leaves_the_queue_holds_up_nobody_and_nothing() -> None:
    shop = await Shop(budget=100).open()
    shop.storage.release()
    first = await shop.enter("abcd")
    second = await shop.enter("efgh")
    for name in ("k", "l", "m", "n", "o"):
        await shop.storage.put(parse_key(name), bytes_of(b"0123456789"))
    waiting = await shop.enter("klmno")
    behind = await shop.enter("ij")
    assert shop.inside == 2
    waiting.cancel()
    for _ in range(20):
        await asyncio.sleep(0)
    assert (shop.inside, shop.sources.held) == (3, 100)
    shop.may_leave.set()
    await asyncio.gather(first, second, behind)
    assert shop.sources.held == 0


async def test_who_leaves_as_its_turn_comes_gives_everything_back() -> None:
    shop = await Shop(budget=50).open()
    shop.storage.release()
    first = await shop.enter("abcde")
    waiting = await shop.enter("fghij")
    shop.may_leave.set()
    await first
    waiting.cancel()
    await asyncio.gather(first, waiting, return_exceptions=True)
    assert shop.sources.held == 0


async def test_kept_sources_count_and_are_dropped_first() -> None:
    shop = await Shop(budget=100, keep=50).open()
    shop.storage.release()
    shop.may_leave.set()
    version_ = (await shop.storage.head(parse_key("a"))).version
    for name in "abcde":
        async with shop.sources.borrow([SourceRequest(parse_key(name), version_, 10)]):
            pass
    assert shop.sources.held == 50
    shop.may_leave.clear()
    visits = [await shop.enter("fghij"), await shop.enter("abcd")]
    assert (shop.inside, shop.sources.held) == (2, 100)  # one of the five is left
    shop.may_leave.set()
    await asyncio.gather(*visits)
    shop.sources.close()
    assert shop.sources.held == 0
