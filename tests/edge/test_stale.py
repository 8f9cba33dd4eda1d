"""What is old may be answered while the new is on its way, and never what was purged or is not public."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientResponse

from imgproxy.errors import BrokenImage, DeadlinePassed, Overloaded, StorageFailed
from imgproxy.image.source import Key, parse_key
from imgproxy.storage import Head, OpenObject
from imgproxy.storage.memory import MemoryStorage
from tests.edge.conftest import Edge, MakeEdge

KEY = parse_key("photo.jpg")
TARGET = "/300x200/photo.jpg"
SECRET = {"Authorization": "Bearer secret"}
BRIEF = ("public, max-age=10, s-maxage=10", "10")
LONG = ("public, max-age=3600, s-maxage=300, stale-while-revalidate=86400, stale-if-error=86400", "300")


class HeldHead(MemoryStorage):
    """A storage whose `head` and `open` can be held up, made to fail, and are counted."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.asked = 0
        self.down = False

    async def head(self, key: Key) -> Head:
        self.asked += 1
        await self.go_on.wait()
        if self.down:
            raise StorageFailed("down")
        return await super().head(key)

    async def open(self, key: Key, *, limit: int) -> OpenObject:
        if self.down:
            raise StorageFailed("down")
        return await super().open(key, limit=limit)


async def put(edge: Edge, body: bytes, key: Key = KEY) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield body

    await edge.storage.put(key, chunks())


def storage_of(edge: Edge) -> HeldHead:
    assert isinstance(edge.storage, HeldHead)
    return edge.storage


@pytest.fixture
async def edge(make_edge: MakeEdge) -> Edge:
    """Before a bucket with a photo that was asked for."""
    edge = await make_edge(unregistered=True, storage=HeldHead(), stale=3600, purge_secret="secret")
    await put(edge, b"old")
    await edge.get(TARGET)
    return edge


async def overwritten(edge: Edge) -> None:
    """Have the photo overwritten, and let the edge know."""
    await put(edge, b"new")
    edge.clock.now += 61
    await edge.get(TARGET)
    await until_told(edge)


async def until_told(edge: Edge) -> None:
    """Until what storage was asked behind the answers is known."""
    async with asyncio.timeout(10):
        while (held := edge.source_access.at_hand(KEY)) is not None and held.old:
            await edge.get("/", method="POST")


async def until_new(edge: Edge, target: str = TARGET) -> ClientResponse:
    async with asyncio.timeout(10):
        while not (await (answer := await edge.get(target)).read()).startswith(b"new"):
            pass
    return answer


def freshness(answer: ClientResponse) -> tuple[str, str]:
    return answer.headers["Cache-Control"], answer.headers["X-Accel-Expires"]


# -- storage's old word ------------------------------------------------------------------------------------


@pytest.mark.parametrize("hits", [0, 1, 2])
async def test_a_hit_does_not_wait_for_storage_however_warm_it_is(edge: Edge, hits: int) -> None:
    for _ in range(hits):
        await edge.get(TARGET)
    edge.clock.now += 61
    storage_of(edge).go_on.clear()
    answers = [await edge.get(TARGET) for _ in range(3)]
    assert [(await each.read(), freshness(each)) for each in answers] == [(b"old at 300", BRIEF)] * 3
    assert {each.headers["Cache-Status"] for each in answers} == {"imgproxy; hit; detail=memory"}
    assert storage_of(edge).asked == 2
    storage_of(edge).go_on.set()
    await until_told(edge)
    assert freshness(await edge.get(TARGET)) == LONG
    assert storage_of(edge).asked == 2


async def test_a_short_freshness_says_nothing_else_than_a_long_one(edge: Edge) -> None:
    for _ in range(2):
        last = await edge.get(TARGET)
    edge.clock.now += 61
    storage_of(edge).go_on.clear()
    old = await edge.get(TARGET)
    of_one_answer = {"X-Request-ID", "Date", "Cache-Control", "X-Accel-Expires"}
    told = [
        {name: value for name, value in each.headers.items() if name not in of_one_answer}
        for each in (last, old)
    ]
    assert told[0] == told[1]
    storage_of(edge).go_on.set()


async def test_an_object_found_gone_is_refused_from_then_on(edge: Edge) -> None:
    await edge.get(TARGET)
    await edge.storage.delete(KEY)
    edge.clock.now += 61
    assert (await edge.get(TARGET)).status == 200
    await until_told(edge)
    assert [(await edge.get(TARGET)).status for _ in range(2)] == [404, 404]


async def test_an_old_word_is_good_for_so_long(edge: Edge) -> None:
    edge.clock.now += 3601
    storage_of(edge).down = True
    assert (await edge.get(TARGET)).status == 502


async def test_who_asks_by_a_tag_is_told_what_storage_says_now(edge: Edge) -> None:
    tag = (await edge.get(TARGET)).headers["ETag"]
    await edge.storage.delete(KEY)
    edge.clock.now += 61
    assert (await edge.get(TARGET, If_None_Match=tag)).status == 404


async def test_what_is_in_no_cache_is_named_by_what_storage_says_now(edge: Edge) -> None:
    await put(edge, b"new")
    edge.clock.now += 61
    answer = await edge.get("/1x1/photo.jpg")
    assert (await answer.read(), freshness(answer)) == (b"new at 1", LONG)
    assert len(edge.engine.jobs) == 2


async def test_after_a_purge_nothing_old_is_believed(edge: Edge) -> None:
    edge.clock.now += 61
    storage_of(edge).go_on.clear()
    await edge.get(TARGET)
    await edge.get("/photo.jpg", method="PURGE", **SECRET)
    await put(edge, b"new")
    asking = asyncio.create_task(edge.get(TARGET))
    done, _ = await asyncio.wait([asking], timeout=0.05)
    assert done == set()
    storage_of(edge).go_on.set()
    assert await (await asking).read() == b"new at 300"


async def test_nobody_logs_that_storage_failed_behind_an_answer(
    edge: Edge, caplog: pytest.LogCaptureFixture
) -> None:
    storage_of(edge).down = True
    edge.clock.now += 61
    await edge.get(TARGET)
    await until_told(edge)
    assert (await edge.get(TARGET)).status == 200
    assert caplog.records == []


async def test_without_leave_for_what_is_old_storage_is_asked_first(make_edge: MakeEdge) -> None:
    edge = await make_edge(unregistered=True, storage=HeldHead())
    await put(edge, b"old")
    await edge.get(TARGET)
    await put(edge, b"new")
    edge.clock.now += 61
    answer = await edge.get(TARGET)
    assert (await answer.read(), answer.headers["Cache-Status"]) == (
        b"new at 300",
        "imgproxy; fwd=miss; stored",
    )


# -- the version before ------------------------------------------------------------------------------------


async def test_the_picture_before_stands_in_while_the_new_one_is_made_once(edge: Edge) -> None:
    tag = (await edge.get(TARGET)).headers["ETag"]
    await overwritten(edge)
    edge.engine.hold = asyncio.Event()
    answers = [await edge.get(TARGET) for _ in range(3)]
    assert [await each.read() for each in answers] == [b"old at 300"] * 3
    assert {each.headers["Cache-Status"] for each in answers} == {"imgproxy; hit; detail=stale"}
    assert {(each.headers["ETag"], freshness(each)) for each in answers} == {(tag, BRIEF)}
    edge.engine.hold.set()
    new = await until_new(edge)
    assert (new.headers["Cache-Status"], freshness(new)) == ("imgproxy; hit; detail=memory", LONG)
    assert new.headers["ETag"] != tag
    assert len(edge.engine.jobs) == 2


async def test_the_tag_of_the_new_is_not_answered_by_the_old(edge: Edge) -> None:
    await overwritten(edge)
    edge.engine.hold = asyncio.Event()
    new = (await edge.get(TARGET, method="HEAD")).headers["ETag"]
    answers = [await edge.get(TARGET, If_None_Match=tag) for tag in (new, '"other"')]
    assert [each.status for each in answers] == [304, 200]
    assert (freshness(answers[0]), freshness(answers[1])) == (LONG, BRIEF)
    edge.engine.hold.set()


async def test_a_head_makes_nothing_and_shows_nothing_old(edge: Edge) -> None:
    old = (await edge.get(TARGET)).headers["ETag"]
    await overwritten(edge)
    head = await edge.get(TARGET, method="HEAD")
    assert (head.headers["ETag"] != old, head.headers["Cache-Status"]) == (True, "imgproxy; fwd=miss")
    assert len(edge.engine.jobs) == 1


async def test_what_was_never_made_of_the_version_before_is_made(edge: Edge) -> None:
    await overwritten(edge)
    answer = await edge.get("/1x1/photo.jpg")
    assert (await answer.read(), answer.headers["Cache-Status"]) == (
        b"new at 1",
        "imgproxy; fwd=miss; stored",
    )


async def test_the_version_before_is_shown_only_for_so_long(edge: Edge) -> None:
    await overwritten(edge)
    edge.clock.now += 3601
    assert await (await edge.get(TARGET)).read() == b"new at 300"


async def test_after_a_purge_no_version_before_is_shown(edge: Edge) -> None:
    await overwritten(edge)
    await edge.get("/photo.jpg", method="PURGE", **SECRET)
    assert await (await edge.get(TARGET)).read() == b"new at 300"


async def test_a_file_that_is_registered_by_now_has_no_version_before(edge: Edge) -> None:
    await overwritten(edge)
    await edge.store("photo.jpg", b"new")
    assert await (await edge.get(TARGET)).read() == b"new at 300"


async def test_once_registered_nothing_that_storage_said_is_believed_again(edge: Edge) -> None:
    await overwritten(edge)
    await edge.store("photo.jpg", b"new", public=False)
    assert (await edge.get(TARGET)).status == 404
    edge.access.forget(KEY)
    assert await (await edge.get(TARGET)).read() == b"new at 300"


async def test_a_registered_file_is_never_shown_in_a_state_before(edge: Edge) -> None:
    await edge.store("photo.jpg", b"old")
    await edge.get(TARGET)
    await edge.store("photo.jpg", b"new")
    assert await (await edge.get(TARGET)).read() == b"new at 300"


@pytest.mark.parametrize("error", [Overloaded("full"), StorageFailed("down"), DeadlinePassed("too long")])
async def test_while_the_new_cannot_be_made_the_old_is_shown_and_the_next_request_tries(
    edge: Edge, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    await overwritten(edge)
    edge.engine.error = error  # type: ignore[assignment]
    answers = [await edge.get(TARGET) for _ in range(3)]
    assert {each.headers["Cache-Status"] for each in answers} == {"imgproxy; hit; detail=stale"}
    assert caplog.records == []
    edge.engine.error = None
    edge.clock.now += 30
    edge.clock.now += 31  # a job that took too long is refused for a minute
    await until_told(edge)
    await until_new(edge)


async def test_an_original_that_is_broken_is_told_once_it_is_known(edge: Edge) -> None:
    await overwritten(edge)
    edge.engine.error = BrokenImage("damaged")
    async with asyncio.timeout(10):
        while (answer := await edge.get(TARGET)).status == 200:
            assert answer.headers["Cache-Status"] == "imgproxy; hit; detail=stale"
    assert answer.status == 422
    assert len(edge.engine.jobs) == 2


async def test_a_picture_of_several_stands_in_with_the_one_that_was_before(edge: Edge) -> None:
    marked, logo = "/filters:watermark(logo.png,0,0)/photo.jpg", parse_key("logo.png")
    await put(edge, b"logo", logo)
    await edge.get(marked)
    for key in (logo, KEY):
        await put(edge, b"new", key)
        edge.source_access.forget(key)
        before = await edge.get(marked)
        assert (before.headers["Cache-Status"], freshness(before)) == ("imgproxy; hit; detail=stale", BRIEF)
        async with asyncio.timeout(10):
            while "stale" in (await edge.get(marked)).headers["Cache-Status"]:
                pass


@pytest.mark.parametrize(
    ("own", "brief"), [("max_age(5)", "public, max-age=5, s-maxage=5"), ("max_age(0)", "private, no-store")]
)
async def test_a_url_that_wants_to_be_kept_shorter_is(edge: Edge, own: str, brief: str) -> None:
    target = f"/filters:{own}/photo.jpg"
    await edge.get(target)
    await put(edge, b"new")
    edge.clock.now += 61
    storage_of(edge).go_on.clear()
    assert (await edge.get(target)).headers["Cache-Control"] == brief
    storage_of(edge).go_on.set()
