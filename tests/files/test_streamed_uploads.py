"""Uploading through us: whole or not at all, and never in memory as a whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from imgproxy.errors import (
    BodyTooLarge,
    BrokenImage,
    FileNotFound,
    FileTooSmall,
    InvalidFormat,
    InvalidRequest,
    Overloaded,
    StorageFailed,
)
from imgproxy.files.database import Connection, Database
from imgproxy.files.model import Collection, File, Owner, UploadState, Visibility
from imgproxy.files.principal import Principal
from imgproxy.files.registration import UploadRegistration
from imgproxy.files.repository.outbox import count_tasks
from imgproxy.files.repository.uploads import expired_uploads
from imgproxy.files.uploads import UploadRequest
from imgproxy.image.source import Key
from imgproxy.storage import Head
from imgproxy.storage.memory import MemoryStorage
from tests.files.samples import set_collection
from tests.files.uploading import ACME, ANN, BROKEN_JPEG, JPEG, PLACE, TEXT, Desk, bytes_of
from tests.storage.broken import BrokenStorage

FOREVER = 10**15
FACTS = {"original_name": "cat.jpg", "alt": "a cat"}


async def store(
    desk: Desk,
    chunks: AsyncIterator[bytes],
    *,
    principal: Principal = ANN,
    visibility: Visibility | None = None,
    at_least: int = 0,
    **wanted: Any,
) -> File:
    given = {"name": "cat.jpg", "mime_type": "image/jpeg", **wanted}
    details = FACTS | ({"visibility": visibility} if visibility else {})
    return await desk.streams.store(
        principal, UploadRequest(**given), chunks, lambda: details, at_least=at_least
    )


async def left(desk: Desk) -> tuple[list[Key], int, int]:
    """Objects, uploads that have not ended, and promises."""

    def count(record: Connection) -> tuple[int, int]:
        return len(expired_uploads(record, before=FOREVER)), count_tasks(record)[0]

    return await desk.stored(), *await desk.database.read(count)


async def test_what_is_sent_is_a_file_with_the_facts_of_its_bytes(desk: Desk) -> None:
    file = await store(desk, bytes_of(JPEG[:5], JPEG[5:]))
    assert await desk.file(file.key) == file
    assert await desk.body(file.object_key) == JPEG
    assert (file.size, file.mime_type, file.width, file.height) == (len(JPEG), "image/jpeg", 40, 20)
    assert (file.collection, file.owner, file.alt) == ("images", Owner("user", "ann"), "a cat")
    assert await left(desk) == ([file.object_key], 0, 0)


async def test_edges_are_told(here: Desk) -> None:
    assert here.told == [(await store(here, bytes_of(JPEG))).key]


async def test_the_visibility_is_the_collection_s_unless_told(here: Desk) -> None:
    seen = [
        (await store(here, bytes_of(JPEG))).visibility,
        (await store(here, bytes_of(JPEG), category="attachments")).visibility,
        (await store(here, bytes_of(JPEG), visibility=Visibility.SHARED)).visibility,
    ]
    assert seen == [Visibility.PUBLIC, Visibility.PRIVATE, Visibility.SHARED]


async def test_its_key_cannot_be_registered_again(here: Desk) -> None:
    file = await store(here, bytes_of(JPEG))
    said = UploadRegistration(file.key, "image/jpeg", len(JPEG), FACTS)
    with pytest.raises(FileNotFound):
        await here.registrar.register(ANN, said)


async def test_a_type_that_nobody_told_is_that_of_the_bytes(here: Desk) -> None:
    file = await store(here, bytes_of(JPEG), mime_type="application/octet-stream")
    assert (file.mime_type, file.collection) == ("image/jpeg", "images")


async def test_its_row_and_a_promise_are_there_before_its_bytes(desk: Desk) -> None:
    seen = []

    async def chunks() -> AsyncIterator[bytes]:
        yield JPEG + bytes(10_000)
        seen.append(await left(desk))
        yield b"more"

    await store(desk, chunks())
    assert seen == [([], 1, 1)]


REFUSED = [
    (TEXT, {}, InvalidFormat),
    (TEXT, {"mime_type": "text/plain", "category": "images"}, InvalidFormat),
    (BROKEN_JPEG, {}, InvalidFormat),
    (b"", {"mime_type": "text/plain"}, FileTooSmall),
]


@pytest.mark.parametrize(("body", "wanted", "kind"), REFUSED)
async def test_what_is_refused_leaves_nothing(
    desk: Desk, body: bytes, wanted: dict[str, Any], kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        await store(desk, bytes_of(body), **wanted)
    await desk.drain()
    assert await left(desk) == ([], 0, 0)


async def test_more_than_the_collection_takes_is_refused_while_it_comes(desk: Desk) -> None:
    small = Collection("images", Visibility.PUBLIC, max_size=20_000)
    await desk.database.write(lambda record: set_collection(record, ACME, small))
    sent = []

    async def chunks() -> AsyncIterator[bytes]:
        yield JPEG
        for _ in range(100):
            sent.append(8_000)
            yield bytes(8_000)

    with pytest.raises(BodyTooLarge):
        await store(desk, chunks())
    assert len(sent) == 3
    await desk.drain()
    assert await left(desk) == ([], 0, 0)


async def test_store_refuses_a_file_that_is_announced_too_large_before_storing_it(desk: Desk) -> None:
    sent = []

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(10):
            sent.append(9_000)
            yield JPEG.ljust(9_000, b".")

    with pytest.raises(BodyTooLarge):
        await store(desk, chunks(), at_least=20 * 1024**2 + 1)
    assert len(sent) == 1
    assert await left(desk) == ([], 0, 0)


async def test_as_much_as_the_collection_takes_is_taken(here: Desk) -> None:
    exact = Collection("images", Visibility.PUBLIC, max_size=len(JPEG))
    await here.database.write(lambda record: set_collection(record, ACME, exact))
    assert (await store(here, bytes_of(JPEG))).size == len(JPEG)


async def test_a_client_that_leaves_half_way_leaves_nothing(desk: Desk) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield JPEG + bytes(10_000)
        raise InvalidRequest("the body broke off")

    with pytest.raises(InvalidRequest):
        await store(desk, chunks())
    await desk.drain()
    assert await left(desk) == ([], 0, 0)


async def test_who_is_stopped_half_way_leaves_nothing(desk: Desk) -> None:
    reached = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield JPEG + bytes(10_000)
        reached.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(store(desk, chunks()))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await desk.settle()
    assert await left(desk) == ([], 0, 0)


@pytest.mark.parametrize("call", ["put", "read"])
async def test_storage_that_fails_leaves_nothing(database: Database, call: str) -> None:
    desk = Desk(database, BrokenStorage(only=(call,)))
    with pytest.raises(StorageFailed):
        await store(desk, bytes_of(JPEG))
    desk.storage.error = None  # type: ignore[attr-defined]
    await desk.settle()
    assert await left(desk) == ([], 0, 0)


class _Late(MemoryStorage):
    """Does what it is asked, and says that it failed."""

    async def put(self, key: Key, chunks: AsyncIterator[bytes], *, content_type: str | None = None) -> Head:
        await super().put(key, chunks, content_type=content_type)
        raise StorageFailed("the answer was lost")


async def test_an_object_whose_answer_was_lost_is_removed_in_the_end(here: Desk) -> None:
    desk = Desk(here.database, _Late())
    with pytest.raises(StorageFailed):
        await store(desk, bytes_of(JPEG))
    assert len(await desk.stored()) == 1
    await desk.settle()
    assert await left(desk) == ([], 0, 0)


async def test_while_no_worker_has_time_nothing_is_left(here: Desk) -> None:
    here.measure.error = Overloaded("busy")
    with pytest.raises(Overloaded):
        await store(here, bytes_of(JPEG))
    await here.settle()
    assert await left(here) == ([], 0, 0)


async def test_the_upload_has_ended_as_a_file(here: Desk) -> None:
    file = await store(here, bytes_of(JPEG))
    states = await here.database.read(
        lambda record: record.exec_driver_sql("SELECT state, file_id, kind FROM uploads").all()
    )
    assert states == [(UploadState.CONSUMED, file.id, "stream")]


@pytest.fixture
def stripping(desk: Desk) -> Desk:
    """Where metadata of images is removed."""
    return Desk(desk.database, desk.storage, desk.clock, strips=True)


async def test_store_strips_an_image_and_leaves_nothing_else(stripping: Desk) -> None:
    file = await store(stripping, bytes_of(JPEG + PLACE))
    assert (file.size, await stripping.body(file.object_key)) == (len(JPEG), JPEG)
    await stripping.settle()
    assert await left(stripping) == ([file.object_key], 0, 0)


async def test_store_of_an_image_that_cannot_be_stripped_leaves_nothing(stripping: Desk) -> None:
    stripping.erase.error = BrokenImage("the JPEG has no pixels")
    with pytest.raises(InvalidFormat):
        await store(stripping, bytes_of(JPEG + PLACE))
    assert await stripping.stored() == []
    await stripping.settle()
    assert await left(stripping) == ([], 0, 0)


async def test_store_that_dies_before_stripping_leaves_nothing(stripping: Desk) -> None:
    stripping.erase.error = Overloaded("busy")
    with pytest.raises(Overloaded):
        await store(stripping, bytes_of(JPEG + PLACE))
    await stripping.settle()
    assert await left(stripping) == ([], 0, 0)
