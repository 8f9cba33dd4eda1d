"""Width and height of files that are to be registered."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from imgproxy.edge.probe import ImageProbe
from imgproxy.edge.source_cache import SourceCache
from imgproxy.engine.pool import Pool
from imgproxy.errors import BrokenImage, ImageError, ImageTooLarge, StorageFailed
from imgproxy.image.plan import Ceiling
from imgproxy.image.source import Key
from imgproxy.storage.memory import MemoryStorage
from tests.pictures import BLUE, RED, encoded, film, gradient, oriented, png_header

KEY = Key("files/acme/1/2")
CEILING = Ceiling(pixels=10_000, frames=1, side=30)
LIMIT = 100_000


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    made = Pool(1, 4, spare=0)
    await made.start()
    yield made
    await made.close()


async def inspected(pool: Pool, body: bytes) -> tuple[int, int] | None:
    async def chunks() -> AsyncIterator[bytes]:
        yield body

    storage = MemoryStorage()
    head = await storage.put(KEY, chunks())
    sources = SourceCache(storage, limit=LIMIT)
    return await ImageProbe(sources, pool, ceiling=CEILING).inspect(KEY, head.version, head.size)


@pytest.mark.parametrize(
    ("body", "sides"),
    [
        (encoded(gradient(20, 10), ".png"), (20, 10)),
        (encoded(gradient(20, 10), ".jpg"), (20, 10)),
        (oriented(6, 40, 20), (40, 20)),
        (encoded(gradient(120, 60), ".png"), (120, 60)),
        (film(RED, BLUE, width=16, height=12), (16, 12)),
    ],
    ids=["png", "jpeg", "lying on its side", "larger than any answer", "of more frames than are shown"],
)
async def test_sides_are_those_of_the_whole_picture_as_it_is_seen(
    pool: Pool, body: bytes, sides: tuple[int, int]
) -> None:
    assert await inspected(pool, body) == sides


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"no picture", ImageError),
        (encoded(gradient(20, 10), ".png")[:30], BrokenImage),
        (png_header(1000, 1000), ImageTooLarge),
    ],
)
async def test_what_cannot_be_shown_is_refused(pool: Pool, body: bytes, kind: type[ImageError]) -> None:
    with pytest.raises(kind):
        await inspected(pool, body)


async def test_what_is_larger_than_an_original_may_be_is_not_measured(pool: Pool) -> None:
    assert await inspected(pool, bytes(LIMIT + 1)) is None


async def test_inspect_of_an_object_that_is_larger_than_said_is_storages_fault(pool: Pool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * 10

    storage = MemoryStorage()
    head = await storage.put(KEY, chunks())
    probe = ImageProbe(SourceCache(storage, limit=LIMIT), pool, ceiling=CEILING)
    with pytest.raises(StorageFailed):
        await probe.inspect(KEY, head.version, 9)
