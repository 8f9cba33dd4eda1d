"""The record of files as the edge sees it."""

from __future__ import annotations

from imgproxy.files.access import MemoryAccess
from imgproxy.files.model import Visibility
from imgproxy.image.source import parse_key

KEY = parse_key("photos/cat.jpg")


async def test_a_key_without_a_record_is_none() -> None:
    assert await MemoryAccess().look(KEY) is None


async def test_a_registered_file_is_told_as_it_is() -> None:
    access = MemoryAccess()
    access.register(KEY, Visibility.PUBLIC, version="v1", modified=10, tenant="t")
    record = await access.look(KEY)
    assert record is not None
    assert (record.visibility, record.version, record.filename) == (Visibility.PUBLIC, "v1", "cat.jpg")


async def test_every_change_raises_the_generation() -> None:
    access = MemoryAccess()
    generations = [
        access.register(KEY, visibility, version="v1", modified=10).generation
        for visibility in (Visibility.PUBLIC, Visibility.PRIVATE, Visibility.PUBLIC)
    ]
    assert generations == [1, 2, 3]


async def test_a_forgotten_file_is_unknown() -> None:
    access = MemoryAccess()
    access.register(KEY, Visibility.PUBLIC, version="v1", modified=10)
    access.forget(KEY)
    access.forget(KEY)
    assert await access.look(KEY) is None
