"""Metadata of uploads, removed by a real worker behind its locks."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from imgproxy.edge.source_cache import SourceCache
from imgproxy.edge.stripper import Stripper
from imgproxy.engine.pool import Pool
from imgproxy.engine.strip_metadata import strip
from imgproxy.errors import BrokenImage, SourceTooLarge, UnsupportedImage
from imgproxy.image.plan import Ceiling
from imgproxy.image.source import Key
from imgproxy.storage.memory import MemoryStorage
from tests.engine.strip_metadata.samples import SAMPLES

KEY = Key("staging/acme/1")
CEILING = Ceiling(pixels=10_000, frames=1, side=30)
LIMIT = 100_000


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    made = Pool(1, 4, spare=0)
    await made.start()
    yield made
    await made.close()


async def stripped(pool: Pool, body: bytes) -> bytes:
    async def chunks() -> AsyncIterator[bytes]:
        yield body

    storage = MemoryStorage()
    head = await storage.put(KEY, chunks())
    sources = SourceCache(storage, limit=LIMIT, keep=LIMIT)
    try:
        return await Stripper(sources, pool, ceiling=CEILING).strip(KEY, head.version)
    finally:
        assert sources.held == 0


async def test_strip_in_a_worker_gives_what_strip_gives(pool: Pool) -> None:
    for _, data in SAMPLES.values():
        assert await stripped(pool, data) == strip(data)[1]


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"\xff\xd8\xff\xe1\0\1", BrokenImage), (b"BM", UnsupportedImage), (bytes(LIMIT + 1), SourceTooLarge)],
)
async def test_strip_raises_what_is_wrong(pool: Pool, body: bytes, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        await stripped(pool, body)


@pytest.mark.parametrize(
    ("kind", "takes"),
    [("image/jpeg", True), ("image/heic", True), ("image/svg+xml", False), ("image/x-canon-cr2", False)],
)
def test_takes_the_types_whose_metadata_can_be_removed(kind: str, takes: bool) -> None:
    stripper = Stripper(SourceCache(MemoryStorage(), limit=1), Pool(1, 1), ceiling=CEILING)
    assert stripper.takes(kind) is takes
