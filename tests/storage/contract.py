"""What every storage promises, whatever it is made of: a member's test is a fixture and nothing."""

from __future__ import annotations

import asyncio
import fcntl
import mmap
import os
from collections.abc import AsyncIterator

import pytest

from imgproxy.errors import NotFound, SourceTooLarge
from imgproxy.image.source import Key
from imgproxy.storage import Storage, Unfinished

PLENTY = 100 * 1024 * 1024
ABSENT = Key("not/there.jpg")
KEY = Key("folder/picture.jpg")

SPELLINGS = [
    "plain.jpg",
    "deep/er/still/picture.jpg",
    "größe/日本語/🐈.png",
    "e\u0301.png",
    "with space.jpg",
    "a+b=c&d,e;f.jpg",
    "quote'\"(round)[square]{curly}!~*$@.jpg",
    "trailing.",
    "UPPER/Case.JPG",
    "question?mark#hash.jpg",
]


async def chunked(*chunks: bytes) -> AsyncIterator[bytes]:
    """Send chunks as a network would."""
    for chunk in chunks:
        await asyncio.sleep(0)
        yield chunk


async def interrupted(*chunks: bytes) -> AsyncIterator[bytes]:
    """Send chunks, and break off."""
    for chunk in chunks:
        yield chunk
    raise ConnectionResetError("the client has gone")


async def stored(storage: Storage, key: Key = KEY, data: bytes = b"0123456789") -> Key:
    """Put an object and return its key."""
    await storage.put(key, chunked(data))
    return key


async def content(storage: Storage, key: Key, *, start: int = 0, end: int | None = None) -> bytes:
    """Read an object."""
    return b"".join([chunk async for chunk in storage.read(key, start=start, end=end)])


async def keys(storage: Storage, prefix: str = "") -> list[str]:
    """List the keys of a storage."""
    return [key async for key, _ in storage.list(prefix)]


async def unfinished(storage: Storage, prefix: str = "") -> list[Unfinished]:
    """List the uploads in parts that have not ended."""
    return [upload async for upload in storage.multipart.list(prefix)]


class StorageContract:
    """Subclass it and give a fixture `storage` that is empty."""

    keeps_type = True
    """Whether a backend has a place for what the type was said to be."""
    longest_key = "x" * 1024
    """The longest key that a backend takes."""
    ordered: tuple[str, ...] = ("a", "a-b", "a.b/c", "a0", "b", "ba/c", "c/a", "c/b/a", "c/c", "é", "日")
    """Keys in the order of their bytes, all of which a backend can hold and list at once."""

    async def test_head_describes_what_was_put(self, storage: Storage) -> None:
        put = await storage.put(KEY, chunked(b"01234", b"56789"), content_type="image/jpeg")
        head = await storage.head(KEY)
        assert (head.size, head.version) == (10, put.version)
        assert head.modified > 0
        assert head.content_type == ("image/jpeg" if self.keeps_type else None)

    async def test_version_is_fit_for_an_etag(self, storage: Storage) -> None:
        version = (await storage.put(KEY, chunked(b"x"))).version
        assert version
        assert not set(version) & set(" \"'\t\n")

    async def test_version_changes_with_the_bytes(self, storage: Storage) -> None:
        versions = [(await storage.put(KEY, chunked(data))).version for data in (b"one", b"two", b"three")]
        assert len(set(versions)) == 3

    async def test_open_gives_a_read_only_descriptor_at_its_beginning(self, storage: Storage) -> None:
        await stored(storage)
        with await storage.open(KEY, limit=PLENTY) as original:
            assert os.lseek(original.descriptor, 0, os.SEEK_CUR) == 0
            assert os.read(original.descriptor, 100) == b"0123456789"
            assert os.fstat(original.descriptor).st_size == original.head.size == 10
            assert fcntl.fcntl(original.descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
            assert fcntl.fcntl(original.descriptor, fcntl.F_GETFD) & fcntl.FD_CLOEXEC

    async def test_what_is_opened_can_be_mapped_shared(self, storage: Storage) -> None:
        await stored(storage)
        with (
            await storage.open(KEY, limit=PLENTY) as original,
            mmap.mmap(original.descriptor, 0, mmap.MAP_SHARED, mmap.PROT_READ) as mapped,
        ):
            assert mapped[:] == b"0123456789"

    async def test_what_is_opened_outlives_its_deletion(self, storage: Storage) -> None:
        await stored(storage)
        with await storage.open(KEY, limit=PLENTY) as original:
            await storage.delete(KEY)
            assert os.read(original.descriptor, 100) == b"0123456789"

    async def test_limit_is_the_last_size_allowed(self, storage: Storage) -> None:
        await stored(storage)
        (await storage.open(KEY, limit=10)).close()
        with pytest.raises(SourceTooLarge):
            await storage.open(KEY, limit=9)

    async def test_empty_object_is_an_object(self, storage: Storage) -> None:
        await storage.put(KEY, chunked())
        with await storage.open(KEY, limit=0) as original:
            assert os.read(original.descriptor, 1) == b""
        assert await content(storage, KEY) == b""

    @pytest.mark.parametrize(
        ("start", "end", "expected"),
        [
            (0, None, b"0123456789"),
            (0, 4, b"0123"),
            (4, 7, b"456"),
            (4, None, b"456789"),
            (9, 10, b"9"),
            (8, 99, b"89"),
            (10, None, b""),
            (50, 60, b""),
            (5, 5, b""),
        ],
    )
    async def test_read_gives_the_range(
        self, storage: Storage, start: int, end: int | None, expected: bytes
    ) -> None:
        await stored(storage)
        assert await content(storage, KEY, start=start, end=end) == expected

    async def test_read_can_be_left_early(self, storage: Storage) -> None:
        await stored(storage, data=bytes(3 * 1024 * 1024))
        reading = storage.read(KEY)
        assert await anext(reading)
        await reading.aclose()  # type: ignore[attr-defined]  # members are generators

    async def test_large_object_comes_back_as_it_went(self, storage: Storage) -> None:
        data = os.urandom(1024 * 1024) * 9 + b"tail"
        pieces = [data[at : at + 300_000] for at in range(0, len(data), 300_000)]
        assert (await storage.put(KEY, chunked(*pieces))).size == len(data)
        assert await content(storage, KEY) == data
        with await storage.open(KEY, limit=PLENTY) as original:
            assert os.pread(original.descriptor, len(data) + 1, 0) == data

    async def test_put_replaces(self, storage: Storage) -> None:
        await stored(storage, data=b"a longer one")
        await stored(storage, data=b"short")
        assert await content(storage, KEY) == b"short"

    @pytest.mark.parametrize("size", [5, 9 * 1024 * 1024])
    async def test_failed_put_leaves_what_was_there(self, storage: Storage, size: int) -> None:
        await stored(storage, data=b"old")
        with pytest.raises(ConnectionResetError):
            await storage.put(KEY, interrupted(bytes(size)))
        assert await content(storage, KEY) == b"old"

    async def test_failed_put_leaves_nothing_where_nothing_was(self, storage: Storage) -> None:
        with pytest.raises(ConnectionResetError):
            await storage.put(KEY, interrupted(b"half"))
        with pytest.raises(NotFound):
            await storage.head(KEY)
        assert await keys(storage) == []

    async def test_racing_puts_leave_one_whole_object(self, storage: Storage) -> None:
        contents = [bytes([number]) * (100_000 + number) for number in range(8)]
        await asyncio.gather(*(stored(storage, KEY, data) for data in contents))
        assert await content(storage, KEY) in contents

    async def test_racing_puts_and_deletes_of_neighbours_do_not_meet(self, storage: Storage) -> None:
        async def come_and_go(number: int) -> None:
            key = Key(f"shared/folder/{number}")
            for _ in range(5):
                await stored(storage, key)
                await storage.delete(key)
            await stored(storage, key)

        await asyncio.gather(*(come_and_go(number) for number in range(4)))
        assert await keys(storage) == [f"shared/folder/{number}" for number in range(4)]

    async def test_copy_is_an_object_of_its_own(self, storage: Storage) -> None:
        await stored(storage)
        copied = await storage.copy(KEY, Key("else/where.jpg"))
        await storage.delete(KEY)
        assert copied == await storage.head(Key("else/where.jpg"))
        assert await content(storage, Key("else/where.jpg")) == b"0123456789"

    async def test_copy_replaces(self, storage: Storage) -> None:
        await stored(storage, Key("target"), b"old")
        await storage.copy(await stored(storage), Key("target"))
        assert await content(storage, Key("target")) == b"0123456789"

    async def test_delete_may_come_twice(self, storage: Storage) -> None:
        await stored(storage)
        await storage.delete(KEY)
        await storage.delete(KEY)
        with pytest.raises(NotFound):
            await storage.head(KEY)

    async def test_list_is_in_order_of_key(self, storage: Storage) -> None:
        for key in reversed(self.ordered):
            await stored(storage, Key(key), key.encode())
        listed = [(key, head.size) async for key, head in storage.list()]
        assert listed == [(key, len(key.encode())) for key in self.ordered]

    async def test_list_describes_as_head_does(self, storage: Storage) -> None:
        await stored(storage)
        head = await storage.head(KEY)
        assert [(key, listed.size, listed.version) async for key, listed in storage.list()] == [
            (KEY, head.size, head.version)
        ]

    @pytest.mark.parametrize(
        ("prefix", "expected"),
        [
            ("", ["a/1", "a/2", "ab/1", "b"]),
            ("a", ["a/1", "a/2", "ab/1"]),
            ("a/", ["a/1", "a/2"]),
            ("a/2", ["a/2"]),
            ("c", []),
            ("..", []),
        ],
    )
    async def test_list_has_a_prefix(self, storage: Storage, prefix: str, expected: list[str]) -> None:
        for key in ("b", "ab/1", "a/2", "a/1"):
            await stored(storage, Key(key))
        assert await keys(storage, prefix) == expected

    @pytest.mark.parametrize("spelling", SPELLINGS)
    async def test_key_is_taken_by_the_letter(self, storage: Storage, spelling: str) -> None:
        key = await stored(storage, Key(spelling), spelling.encode())
        assert (await storage.head(key)).size == len(spelling.encode())
        assert await content(storage, key) == spelling.encode()
        assert await keys(storage) == [spelling]
        assert await keys(storage, spelling) == [spelling]
        await storage.copy(key, Key(f"copies/{spelling}"))
        await storage.delete(key)
        assert await keys(storage) == [f"copies/{spelling}"]

    async def test_longest_key(self, storage: Storage) -> None:
        key = await stored(storage, Key(self.longest_key))
        assert await content(storage, key) == b"0123456789"
        assert await keys(storage) == [key]

    @pytest.mark.parametrize("spelling", [ABSENT, "folder", "folder/picture.jpg/x", "x" * 1024])
    async def test_absent_is_not_found(self, storage: Storage, spelling: str) -> None:
        await stored(storage)
        key = Key(spelling)
        with pytest.raises(NotFound):
            await storage.head(key)
        with pytest.raises(NotFound):
            await storage.open(key, limit=PLENTY)
        with pytest.raises(NotFound):
            await content(storage, key)
        with pytest.raises(NotFound):
            await content(storage, key, start=5, end=5)
        with pytest.raises(NotFound):
            await storage.copy(key, Key("target"))
        await storage.delete(key)
        assert await keys(storage) == [KEY]

    async def test_check_passes(self, storage: Storage) -> None:
        await storage.check()

    async def test_close_may_come_twice(self, storage: Storage) -> None:
        await storage.close()
        await storage.close()
