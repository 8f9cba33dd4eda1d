"""A picture is answered and kept only if all that it was made from is still as it was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from imgproxy.cache.key import ResultKey
from imgproxy.cache.memory import MemoryTier
from imgproxy.cache.purge_epochs import PurgeEpochs
from imgproxy.cache.tiers import Entry, Tiers
from imgproxy.dialects import Grammar
from imgproxy.edge.render import Prepared, Recipe, Renderer
from imgproxy.edge.source_access import SourceAccess
from imgproxy.edge.source_cache import SourceCache
from imgproxy.engine.negative_cache import NegativeCache
from imgproxy.engine.worker_protocol import Encoding
from imgproxy.errors import BrokenImage, EngineFailed, ImgproxyError, NotFound, StorageFailed, TransformFailed
from imgproxy.files.file_status import MemoryFileStatuses
from imgproxy.files.model import Visibility
from imgproxy.image.formats import Format
from imgproxy.image.negotiate import Output
from imgproxy.image.plan import Ceiling
from imgproxy.image.source import Key, parse_key
from imgproxy.storage import Head, OpenObject
from imgproxy.storage.memory import MemoryStorage
from imgproxy.telemetry import Metrics
from tests.edge.conftest import Clock, CountingEngine

PHOTO, LOGO = parse_key("photo.jpg"), parse_key("logo.png")
JPEG, WEBP = Output((Format.JPEG,)), Output((Format.WEBP,))
MARKED = "/filters:watermark(logo.png,0,0)/photo.jpg"


class Changing(MemoryStorage):
    """An object that somebody replaces just before each of the first `times` it is opened."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times

    async def open(self, key: Key, *, limit: int) -> OpenObject:
        if self.left:
            self.left -= 1
            await self.put(key, chunks(b"version %d" % self.left))
        return await super().open(key, limit=limit)


class Held(MemoryTier):
    """A tier that takes its time to keep something."""

    def __init__(self) -> None:
        super().__init__(1_000_000)
        self.go_on = asyncio.Event()

    async def put(self, key: ResultKey, entry: Entry) -> None:
        await self.go_on.wait()
        await super().put(key, entry)


class HeldLook(MemoryTier):
    """A tier that takes its time to find something, when it is told to."""

    def __init__(self) -> None:
        super().__init__(1_000_000)
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()
        self.go_on.set()

    async def get(self, key: ResultKey) -> Entry | None:
        found = await super().get(key)
        self.reached.set()
        await self.go_on.wait()
        return found


class HeldHead(MemoryStorage):
    """A storage that does not say at once what it has at `held`."""

    def __init__(self) -> None:
        super().__init__()
        self.held: Key | None = None
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()

    async def head(self, key: Key) -> Head:
        if key == self.held:
            self.reached.set()
            await self.go_on.wait()
        return await super().head(key)


class Kitchen:
    """A renderer and its parts. Objects need no record, so storage tells their versions."""

    def __init__(
        self,
        storage: MemoryStorage | None = None,
        tier: MemoryTier | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.storage, self.access = storage or MemoryStorage(), MemoryFileStatuses()
        self.engine = CountingEngine()
        self.source_access = SourceAccess(
            self.access,
            self.storage,
            PurgeEpochs(),
            unregistered=True,
            ttl=60,
            timer=clock or Clock(),
            stale=3600,
        )
        self.renderer = Renderer(
            source_access=self.source_access,
            sources=SourceCache(self.storage, limit=100_000),
            tiers=Tiers([tier or MemoryTier(1_000_000)]),
            engine=self.engine,
            negative_cache=NegativeCache(seconds=60, entries=100, timer=Clock()),
            recipe=Recipe(Encoding(), Ceiling(1_000_000, 10, 8192), "test"),
            metrics=Metrics(),
        )

    async def store(self, key: Key, body: bytes) -> None:
        await self.storage.put(key, chunks(body))

    def register(self, key: Key, visibility: Visibility = Visibility.PUBLIC, *, version: str) -> None:
        self.access.register(key, visibility, version=version, modified=0)

    async def prepare(self, target: str, output: Output = JPEG) -> Prepared:
        return await self.renderer.prepare(Grammar().read(target), output)

    async def body(self, target: str) -> bytes:
        """Make a picture, whatever is cached."""
        _, made = await self.renderer.make(await self.prepare(target))
        return made.entry.body

    async def is_kept(self, prepared: Prepared) -> bool:
        await self.renderer.close()
        return await self.renderer.cached(prepared) is not None


async def chunks(body: bytes) -> AsyncIterator[bytes]:
    yield body


@pytest.fixture
async def kitchen() -> AsyncIterator[Kitchen]:
    """With a photo and a logo in its storage."""
    kitchen = Kitchen()
    await kitchen.store(PHOTO, b"photo")
    await kitchen.store(LOGO, b"logo")
    yield kitchen
    await kitchen.renderer.close()


async def test_what_was_made_is_kept_under_the_key_it_is_answered_with(kitchen: Kitchen) -> None:
    prepared = await kitchen.prepare("/300x200/photo.jpg")
    assert await kitchen.renderer.cached(prepared) is None
    answered, made = await kitchen.renderer.make(prepared)
    assert answered == prepared
    assert made.entry == Entry(b"photo at 300", "image/jpeg", Format.JPEG, (PHOTO,))
    assert await kitchen.is_kept(prepared)


async def test_all_that_changes_the_bytes_changes_the_key(kitchen: Kitchen) -> None:
    targets = ("/1x1/photo.jpg", "/2x1/photo.jpg", "/meta/1x1/photo.jpg", "/1x1/logo.png", MARKED)
    plain = ("/1x1/color:red", "/1x1/color:blue")
    prepared = [await kitchen.prepare(target) for target in (*targets, *plain)]
    prepared.append(await kitchen.prepare(targets[0], WEBP))
    kitchen.register(PHOTO, version="v1")
    prepared.append(await kitchen.prepare(targets[0]))
    kitchen.register(PHOTO, version="v1")  # of another generation
    prepared.append(await kitchen.prepare(targets[0]))
    assert len({each.key for each in prepared}) == len(prepared)


async def test_every_object_is_permitted_the_original_first_and_a_plain_colour_is_none(
    kitchen: Kitchen,
) -> None:
    marked = await kitchen.prepare(MARKED)
    assert [grant.key for grant in marked.grants] == [PHOTO, LOGO]
    assert (await kitchen.prepare("/1x1/color:red")).grants == ()
    kitchen.register(LOGO, Visibility.PRIVATE, version="v1")
    with pytest.raises(NotFound):
        await kitchen.prepare(MARKED)
    assert kitchen.engine.jobs == []


async def test_an_object_that_changes_between_permit_and_fetch_is_prepared_anew(kitchen: Kitchen) -> None:
    before = await kitchen.prepare("/300x200/photo.jpg")
    await kitchen.store(PHOTO, b"replaced")
    after, made = await kitchen.renderer.make(before)
    assert made.entry.body == b"replaced at 300"
    assert after == await kitchen.prepare("/300x200/photo.jpg") != before
    assert (await kitchen.is_kept(before), await kitchen.is_kept(after)) == (False, True)


async def test_a_purge_of_one_while_another_is_asked_for_is_not_missed() -> None:
    storage = HeldHead()
    kitchen = Kitchen(storage)
    await kitchen.store(PHOTO, b"photo")
    await kitchen.store(LOGO, b"logo")
    await kitchen.body(MARKED)
    prepared = await kitchen.prepare(MARKED)
    assert await kitchen.is_kept(prepared)
    storage.held = LOGO
    kitchen.source_access.forget(LOGO)
    looking = asyncio.create_task(kitchen.renderer.cached(prepared))
    await storage.reached.wait()
    await kitchen.renderer.purge(PHOTO)
    storage.go_on.set()
    assert await looking is None


@pytest.mark.parametrize("purged", [False, True])
async def test_a_purge_while_the_version_before_is_looked_for_is_not_missed(purged: bool) -> None:
    tier = HeldLook()
    kitchen = Kitchen(tier=tier)
    await kitchen.store(PHOTO, b"photo")
    await kitchen.body("/1x1/photo.jpg")
    await kitchen.store(PHOTO, b"replaced")
    kitchen.source_access.forget(PHOTO)
    prepared = await kitchen.prepare("/1x1/photo.jpg")
    tier.go_on.clear()
    looking = asyncio.create_task(kitchen.renderer.earlier(prepared))
    await tier.reached.wait()
    if purged:
        await kitchen.renderer.purge(PHOTO)
    tier.go_on.set()
    assert (await looking is None) == purged
    await kitchen.renderer.close()


@pytest.mark.parametrize("changed", [PHOTO, LOGO])
async def test_any_of_several_objects_may_have_changed(kitchen: Kitchen, changed: Key) -> None:
    before = await kitchen.prepare(MARKED)
    await kitchen.store(changed, b"replaced")
    after, _ = await kitchen.renderer.make(before)
    assert [old == new for old, new in zip(before.grants, after.grants, strict=True)] == [
        changed != PHOTO,
        changed != LOGO,
    ]
    assert len(kitchen.engine.jobs) == 1


async def test_an_object_that_keeps_changing_is_storages_failure() -> None:
    kitchen = Kitchen(Changing(3))
    await kitchen.store(PHOTO, b"first")
    with pytest.raises(StorageFailed, match="keeps changing"):
        await kitchen.body("/300x200/photo.jpg")
    assert kitchen.engine.jobs == []
    assert await kitchen.body("/300x200/photo.jpg") == b"version 0 at 300"
    await kitchen.renderer.close()


async def test_a_result_of_an_older_generation_is_neither_kept_nor_answered(kitchen: Kitchen) -> None:
    version = (await kitchen.storage.head(PHOTO)).version
    kitchen.register(PHOTO, version=version)
    before = await kitchen.prepare("/300x200/photo.jpg")
    kitchen.engine.hold = asyncio.Event()
    making = asyncio.create_task(kitchen.renderer.make(before))
    await kitchen.engine.reached.wait()
    kitchen.register(PHOTO, version=version)
    kitchen.engine.hold.set()
    after, _ = await making
    assert (before.grants[0].generation, after.grants[0].generation) == (1, 2)
    assert (await kitchen.is_kept(before), await kitchen.is_kept(after)) == (False, True)
    assert len(kitchen.engine.jobs) == 2


async def test_memory_answers_at_once_until_a_permit_has_changed(kitchen: Kitchen) -> None:
    kitchen.register(PHOTO, version=(await kitchen.storage.head(PHOTO)).version)
    prepared = await kitchen.prepare("/300x200/photo.jpg")
    assert kitchen.renderer.at_hand(prepared) is None
    await kitchen.body("/300x200/photo.jpg")
    assert await kitchen.is_kept(prepared)
    assert kitchen.renderer.at_hand(prepared) is not None
    kitchen.register(PHOTO, version=prepared.grants[0].version)
    assert kitchen.renderer.at_hand(prepared) is None


async def test_an_original_that_is_broken_is_not_tried_for_another_size(kitchen: Kitchen) -> None:
    kitchen.engine.error = BrokenImage("damaged")
    for width in (1, 2):
        with pytest.raises(BrokenImage):
            await kitchen.body(f"/{width}x1/photo.jpg")
    assert len(kitchen.engine.jobs) == 1


async def test_a_new_version_of_a_broken_original_is_tried(kitchen: Kitchen) -> None:
    kitchen.engine.error = BrokenImage("damaged")
    with pytest.raises(BrokenImage):
        await kitchen.body("/1x1/photo.jpg")
    kitchen.engine.error = None
    await kitchen.store(PHOTO, b"mended")
    kitchen.register(PHOTO, version=(await kitchen.storage.head(PHOTO)).version)
    assert await kitchen.body("/1x1/photo.jpg") == b"mended at 1"


@pytest.mark.parametrize("target", [MARKED, "/1x1/color:red"])
async def test_of_a_picture_of_several_originals_or_none_only_the_job_is_remembered(
    kitchen: Kitchen, target: str
) -> None:
    """Any of several may be the broken one, so none is refused for the others."""
    kitchen.engine.error = BrokenImage("damaged")
    for _ in range(2):
        with pytest.raises(BrokenImage):
            await kitchen.body(target)
    assert len(kitchen.engine.jobs) == 1
    kitchen.engine.error = None
    assert await kitchen.body("/5x5/photo.jpg") == b"photo at 5"
    assert await kitchen.body("/5x5/logo.png") == b"logo at 5"


async def test_nobody_waits_for_keeping_but_closing_does() -> None:
    tier = Held()
    kitchen = Kitchen(tier=tier)
    await kitchen.store(PHOTO, b"photo")
    prepared = await kitchen.prepare("/1x1/photo.jpg")
    await kitchen.renderer.make(prepared)
    closing = asyncio.create_task(kitchen.renderer.close())
    done, _ = await asyncio.wait([closing], timeout=0.05)
    assert (done, tier.at_hand(prepared.key)) == (set(), None)
    tier.go_on.set()
    await closing
    assert tier.at_hand(prepared.key) is not None


async def test_a_purge_forgets_that_the_original_was_damaged(kitchen: Kitchen) -> None:
    kitchen.engine.error = BrokenImage("damaged")
    with pytest.raises(BrokenImage):
        await kitchen.body("/300x200/photo.jpg")
    kitchen.engine.error = None
    await kitchen.renderer.purge(PHOTO)  # mended under the same version
    assert await kitchen.body("/300x200/photo.jpg") == b"photo at 300"


async def test_make_after_a_flight_that_landed_during_the_disk_lookup_decodes_nothing() -> None:
    tier = HeldLook()
    kitchen = Kitchen(tier=tier)
    await kitchen.store(PHOTO, b"photo")
    request = Grammar().read("/1x1/photo.jpg")
    tier.go_on.clear()
    looking = asyncio.create_task(kitchen.renderer.look(request, JPEG))
    await tier.reached.wait()
    _, first = await kitchen.renderer.make(await kitchen.prepare("/1x1/photo.jpg"))
    tier.go_on.set()
    prepared, hit = await looking
    assert hit is None
    _, second = await kitchen.renderer.make(prepared)
    assert (second.entry, second.collapsed) == (first.entry, True)
    assert len(kitchen.engine.jobs) == 1
    await kitchen.renderer.close()


async def test_make_while_a_result_is_still_being_put_decodes_nothing() -> None:
    tier = Held()
    kitchen = Kitchen(tier=tier)
    await kitchen.store(PHOTO, b"photo")
    for _ in range(2):
        assert await kitchen.body("/1x1/photo.jpg") == b"photo at 1"
    assert len(kitchen.engine.jobs) == 1
    await kitchen.source_access.purge(PHOTO)
    await kitchen.body("/1x1/photo.jpg")
    assert len(kitchen.engine.jobs) == 2  # a purge voids what is being put
    tier.go_on.set()
    await kitchen.renderer.close()


class Counted(MemoryTier):
    """A tier that counts how often it is read."""

    def __init__(self) -> None:
        super().__init__(1_000_000)
        self.reads = 0

    async def get(self, key: ResultKey) -> Entry | None:
        self.reads += 1
        return await super().get(key)


async def test_look_with_a_stale_version_that_still_holds_reads_the_tiers_once() -> None:
    tier, clock = Counted(), Clock()
    kitchen = Kitchen(tier=tier, clock=clock)
    await kitchen.store(PHOTO, b"photo")
    await kitchen.prepare("/1x1/photo.jpg")
    clock.now += 61
    prepared, hit = await kitchen.renderer.look(Grammar().read("/1x1/photo.jpg"), JPEG)
    assert (prepared.old, hit, tier.reads) == (False, None, 1)
    await kitchen.renderer.close()


@pytest.mark.parametrize("error", [TransformFailed("it brought its worker down"), EngineFailed("ours")])
async def test_make_after_one_transform_failed_makes_others_of_the_source(
    kitchen: Kitchen, error: ImgproxyError
) -> None:
    kitchen.engine.error = error
    with pytest.raises(type(error)):
        await kitchen.body("/1x1/photo.jpg")
    kitchen.engine.error = None
    assert await kitchen.body("/299x1/photo.jpg") == b"photo at 299"
    assert await kitchen.body("/meta/photo.jpg")
