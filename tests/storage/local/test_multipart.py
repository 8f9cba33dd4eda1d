"""A folder keeps the promises of uploads in parts, and nothing that was sent halfway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from imgproxy.errors import FileTooLarge, NotFound, StorageFailed
from imgproxy.image.source import Key
from imgproxy.storage import MAX_PARTS, MIN_PART_BYTES, BadParts, Part
from imgproxy.storage.local import LocalStorage
from imgproxy.storage.local import draft as draft_module
from imgproxy.storage.local.multipart import PartsFolder
from tests.storage.contract import KEY, MultipartContract, chunked, content, interrupted, keys


@pytest.fixture
async def storage(root: Path) -> AsyncIterator[LocalStorage]:
    storage = LocalStorage(root)
    yield storage
    await storage.close()


class TestMultipart(MultipartContract):
    pass


async def sent(storage: LocalStorage, upload: str, number: int, *chunks: bytes) -> Part:
    return await storage.multipart.receive(KEY, upload, number=number, chunks=chunked(*chunks))


def files(root: Path, upload: str) -> list[str]:
    return sorted(path.name for path in (root / ".parts" / upload).iterdir())


async def bounded(storage: LocalStorage, upload: str, number: int, size: int, *, limit: int = 100) -> Part:
    return await storage.multipart.receive(
        KEY, upload, number=number, chunks=chunked(bytes(size)), length=size, limit=limit
    )


async def test_receive_refuses_parts_above_the_limit_before_a_byte_is_asked_for(
    storage: LocalStorage, root: Path
) -> None:
    upload, asked = await storage.multipart.begin(KEY), []

    async def chunks() -> AsyncIterator[bytes]:
        asked.append(1)
        yield b"x"

    await bounded(storage, upload, 1, 60)
    with pytest.raises(FileTooLarge):
        await storage.multipart.receive(KEY, upload, number=2, chunks=chunks(), length=41, limit=100)
    assert (asked, files(root, upload)) == ([], ["00001", "key"])
    await bounded(storage, upload, 1, 100)  # in its own place


async def test_receive_counts_parts_on_their_way(storage: LocalStorage, root: Path) -> None:
    upload, reached, go_on = await storage.multipart.begin(KEY), asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        reached.set()
        await go_on.wait()
        yield bytes(60)

    first = asyncio.create_task(
        storage.multipart.receive(KEY, upload, number=1, chunks=slow(), length=60, limit=100)
    )
    await reached.wait()
    with pytest.raises(FileTooLarge):
        await bounded(LocalStorage(root), upload, 2, 41)  # another process's
    await bounded(storage, upload, 2, 40)
    go_on.set()
    assert (await first).size == 60


async def test_receive_takes_a_part_again_that_is_on_its_way_but_not_for_ever(
    storage: LocalStorage, root: Path
) -> None:
    upload, reached = await storage.multipart.begin(KEY), asyncio.Event()

    async def stuck() -> AsyncIterator[bytes]:
        reached.set()
        await asyncio.Event().wait()
        yield b""

    first = asyncio.create_task(
        storage.multipart.receive(KEY, upload, number=1, chunks=stuck(), length=100, limit=100)
    )
    await reached.wait()
    await bounded(storage, upload, 1, 100)
    with pytest.raises(FileTooLarge):
        await bounded(storage, upload, 1, 100)
    first.cancel()
    await asyncio.wait([first])
    assert files(root, upload) == ["00001", "key"]


@pytest.mark.parametrize("number", [0, -1, MAX_PARTS + 1])
async def test_a_number_that_no_part_can_have_is_refused_before_a_byte_is_asked_for(
    storage: LocalStorage, root: Path, number: int
) -> None:
    upload, asked = await storage.multipart.begin(KEY), []

    async def chunks() -> AsyncIterator[bytes]:
        asked.append(1)
        yield b"x"

    with pytest.raises(BadParts):
        await storage.multipart.receive(KEY, upload, number=number, chunks=chunks())
    assert (asked, files(root, upload)) == ([], ["key"])


async def test_a_part_is_what_came_in_its_order(storage: LocalStorage, root: Path) -> None:
    upload = await storage.multipart.begin(KEY)
    part = await sent(storage, upload, MAX_PARTS, b"012", b"", b"34")
    assert (part.number, part.size) == (MAX_PARTS, 5)
    assert await storage.multipart.parts(KEY, upload) == [part]
    assert (root / ".parts" / upload / "10000").read_bytes() == b"01234"


async def test_a_part_that_broke_off_leaves_the_one_before(storage: LocalStorage, root: Path) -> None:
    upload = await storage.multipart.begin(KEY)
    before = await sent(storage, upload, 1, b"whole")
    with pytest.raises(ConnectionResetError):
        await storage.multipart.receive(KEY, upload, number=1, chunks=interrupted(bytes(2**21)))
    assert await storage.multipart.parts(KEY, upload) == [before]
    assert files(root, upload) == ["00001", "key"]


async def test_a_part_whose_sender_was_stopped_leaves_nothing(storage: LocalStorage, root: Path) -> None:
    upload, reached = await storage.multipart.begin(KEY), asyncio.Event()

    async def stuck() -> AsyncIterator[bytes]:
        yield bytes(2**21)
        reached.set()
        await asyncio.Event().wait()

    receiving = asyncio.create_task(storage.multipart.receive(KEY, upload, number=1, chunks=stuck()))
    await reached.wait()
    assert await storage.multipart.parts(KEY, upload) == []
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    assert files(root, upload) == ["key"]


async def test_parts_are_put_together_stretch_by_stretch(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draft_module, "_STRETCH", MIN_PART_BYTES - 1)
    upload = await storage.multipart.begin(KEY)
    whole = bytes(MIN_PART_BYTES - 1) + b"0123456789"
    parts = [await sent(storage, upload, 1, whole), await sent(storage, upload, 2, b"tail")]
    await storage.multipart.complete(KEY, upload, parts)
    assert await content(storage, KEY) == whole + b"tail"


async def test_an_empty_part_is_a_part(storage: LocalStorage) -> None:
    upload = await storage.multipart.begin(KEY)
    await storage.multipart.complete(KEY, upload, [await sent(storage, upload, 1)])
    assert await content(storage, KEY) == b""


async def test_a_part_that_ends_before_its_length_makes_no_object_and_can_be_mended(
    storage: LocalStorage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await storage.multipart.begin(KEY)
    part = await sent(storage, upload, 1, b"0123456789")
    with monkeypatch.context() as patched:
        patched.setattr(PartsFolder, "append", lambda *_: 0)
        with pytest.raises(StorageFailed, match="before its length"):
            await storage.multipart.complete(KEY, upload, [part])
    assert (await keys(storage), files(root, upload)) == ([], ["00001", "key"])
    await storage.multipart.complete(KEY, upload, [part])
    assert await content(storage, KEY) == b"0123456789"


async def test_of_two_who_complete_at_once_both_leave_one_whole_object(
    storage: LocalStorage, root: Path
) -> None:
    upload = await storage.multipart.begin(KEY)
    parts = [await sent(storage, upload, 1, bytes(MIN_PART_BYTES)), await sent(storage, upload, 2, b"tail")]
    outcomes = await asyncio.gather(
        *(storage.multipart.complete(KEY, upload, parts) for _ in range(3)), return_exceptions=True
    )
    assert None in outcomes
    assert {type(each) for each in outcomes if each is not None} <= {NotFound}
    assert await content(storage, KEY) == bytes(MIN_PART_BYTES) + b"tail"
    assert [*(root / ".parts").iterdir()] == []


async def test_an_upload_aborted_while_a_part_arrives_stays_aborted(
    storage: LocalStorage, root: Path
) -> None:
    upload = await storage.multipart.begin(KEY)

    async def chunks() -> AsyncIterator[bytes]:
        yield b"late"
        await storage.multipart.abort(KEY, upload)

    with pytest.raises((NotFound, StorageFailed)):
        await storage.multipart.receive(KEY, upload, number=1, chunks=chunks())
    assert [*(root / ".parts").iterdir()] == []


async def test_nothing_begins_for_what_cannot_be_a_key(storage: LocalStorage) -> None:
    with pytest.raises(NotFound):
        await storage.multipart.begin(Key("../x"))
