"""What every storage promises, whatever it is made of: a member's test is a fixture and nothing."""

from __future__ import annotations

import asyncio
import fcntl
import io
import mmap
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from imgproxy.errors import ImgproxyError, NotFound, SourceTooLarge
from imgproxy.files.disposition import content_disposition, content_type
from imgproxy.image.source import Key
from imgproxy.storage import MIN_PART_BYTES, BadParts, Part, Storage, UnfinishedUpload
from tests.files import samples

PLENTY = 100 * 1024 * 1024
ABSENT = Key("not/there.jpg")
KEY = Key("folder/picture.jpg")

HIDDEN = [
    Key(".store/0001.part"),
    Key("visible/.thumbs/a.jpg"),
    Key("visible/.a.jpg"),
    Key("lost+found/a.jpg"),
]

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


async def unfinished(storage: Storage, prefix: str = "") -> list[UnfinishedUpload]:
    """List the uploads in parts that have not ended."""
    return [upload async for upload in storage.multipart.list(prefix)]


@dataclass
class Browser:
    """A client that knows nothing but the URLs it is given."""

    http: aiohttp.ClientSession
    """Its base is where paths without a host are served."""

    async def put(self, url: str, data: bytes, **headers: str) -> tuple[int, str]:
        """PUT; return status and ETag. Header names are written with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.http.put(
            URL(url, encoded=True), data=io.BytesIO(data), headers=named, skip_auto_headers=["Content-Type"]
        ) as answer:
            return answer.status, answer.headers.get("ETag", "")

    async def get(self, url: str, **headers: str) -> tuple[int, Mapping[str, str], bytes]:
        """GET; return status, headers and body."""
        async with self.http.get(URL(url, encoded=True), headers=headers) as answer:
            return answer.status, answer.headers, await answer.read()


@asynccontextmanager
async def browsing(base: str | None = None) -> AsyncIterator[Browser]:
    """Lend a client."""
    async with aiohttp.ClientSession(base) as http:
        yield Browser(http)


class PresignContract:
    """What the URLs of every storage promise; give fixtures `storage` and `browser`."""

    async def test_put_url_stores_what_it_was_signed_for(self, storage: Storage, browser: Browser) -> None:
        url = await storage.presign("PUT", KEY, expires=60, content_type="image/png", content_length=5)
        status, etag = await browser.put(url, b"01234", Content_Type="image/png")
        assert (status, etag[0], etag[-1]) == (200, '"', '"')
        assert await content(storage, KEY) == b"01234"

    @pytest.mark.parametrize(
        ("data", "kind"), [(b"01234", "text/html"), (b"012345", "image/png"), (b"0123", "image/png")]
    )
    async def test_put_url_refuses_anything_else(
        self, storage: Storage, browser: Browser, data: bytes, kind: str
    ) -> None:
        url = await storage.presign("PUT", KEY, expires=60, content_type="image/png", content_length=5)
        assert (await browser.put(url, data, Content_Type=kind))[0] == 403
        assert await keys(storage) == []

    async def test_put_url_without_type_and_length_takes_any(
        self, storage: Storage, browser: Browser
    ) -> None:
        url = await storage.presign("PUT", KEY, expires=60)
        assert (await browser.put(url, b"x", Content_Type="a/b"))[0] == 200
        assert (await browser.put(url, b"0123456789"))[0] == 200
        assert await content(storage, KEY) == b"0123456789"

    @pytest.mark.parametrize("spelling", SPELLINGS)
    async def test_urls_name_any_key(self, storage: Storage, browser: Browser, spelling: str) -> None:
        put = await storage.presign("PUT", Key(spelling), expires=60)
        assert (await browser.put(put, spelling.encode()))[0] == 200
        status, _, body = await browser.get(await storage.presign("GET", Key(spelling), expires=60))
        assert (status, body) == (200, spelling.encode())
        assert await keys(storage) == [spelling]

    async def test_get_url_answers_with_the_type_and_name_signed(
        self, storage: Storage, browser: Browser
    ) -> None:
        await stored(storage)
        name = "attachment; filename=\"a b.png\"; filename*=UTF-8''%C3%A4.png"
        url = await storage.presign("GET", KEY, expires=60, content_type="image/png", disposition=name)
        status, headers, body = await browser.get(url)
        assert (status, body) == (200, b"0123456789")
        assert (headers["Content-Type"], headers["Content-Disposition"]) == ("image/png", name)

    @pytest.mark.parametrize(
        ("kind", "told"),
        [
            ("text/html", "application/octet-stream"),
            ("text/javascript", "application/octet-stream"),
            ("application/xhtml+xml", "application/octet-stream"),
            ("application/xml", "application/octet-stream"),
            ("image/svg+xml", "image/svg+xml"),
        ],
    )
    async def test_get_url_of_an_active_type_is_an_attachment_and_can_be_nothing_else(
        self, storage: Storage, browser: Browser, kind: str, told: str
    ) -> None:
        """Response headers are bound into the URL: no client can have it shown in place."""
        put = await storage.presign("PUT", KEY, expires=60, content_type=kind)
        assert (await browser.put(put, b"<script>alert(1)</script>", Content_Type=kind))[0] == 200
        file = samples.file(mime_type=kind)
        url = await storage.presign(
            "GET",
            KEY,
            expires=60,
            content_type=content_type(file),
            disposition=content_disposition(file, "inline"),
        )
        status, headers, _ = await browser.get(url)
        assert (status, headers["Content-Type"]) == (200, told)
        assert headers["Content-Disposition"] == 'attachment; filename="cat.jpg"'
        for forged in (url.replace("attachment", "inline"), url.replace(quote(told, safe=""), "text%2Fhtml")):
            assert (await browser.get(forged))[0] == 403

    @pytest.mark.parametrize(
        ("asked", "status", "range_", "expected"),
        [
            ("bytes=2-4", 206, "bytes 2-4/10", b"234"),
            ("bytes=7-", 206, "bytes 7-9/10", b"789"),
            ("bytes=-3", 206, "bytes 7-9/10", b"789"),
            ("bytes=5-99", 206, "bytes 5-9/10", b"56789"),
        ],
    )
    async def test_get_url_gives_ranges(
        self, storage: Storage, browser: Browser, asked: str, status: int, range_: str, expected: bytes
    ) -> None:
        await stored(storage)
        url = await storage.presign("GET", KEY, expires=60)
        told, headers, body = await browser.get(url, Range=asked)
        assert (told, headers["Content-Range"], body) == (status, range_, expected)

    async def test_get_url_refuses_a_range_behind_the_end(self, storage: Storage, browser: Browser) -> None:
        await stored(storage)
        url = await storage.presign("GET", KEY, expires=60)
        assert (await browser.get(url, Range="bytes=10-"))[0] == 416

    async def test_url_is_for_one_method(self, storage: Storage, browser: Browser) -> None:
        await stored(storage)
        get = await storage.presign("GET", KEY, expires=60)
        put = await storage.presign("PUT", KEY, expires=60)
        assert (await browser.put(get, b"evil"))[0] == (await browser.get(put))[0] == 403
        assert await content(storage, KEY) == b"0123456789"

    async def test_url_is_for_one_key(self, storage: Storage, browser: Browser) -> None:
        await stored(storage, Key("folder/other.jpg"))
        url = await storage.presign("GET", KEY, expires=60)
        assert (await browser.get(url.replace("picture.jpg", "other.jpg")))[0] == 403

    async def test_url_of_an_absent_object_is_404(self, storage: Storage, browser: Browser) -> None:
        assert (await browser.get(await storage.presign("GET", ABSENT, expires=60)))[0] == 404


class MultipartContract:
    """What uploads in parts promise; give fixtures `storage` and `browser`."""

    replaces_parts = True
    """Whether a part that came twice is at once only what came last."""

    async def send(self, storage: Storage, browser: Browser, upload: str, number: int, data: bytes) -> Part:
        url = await storage.multipart.presign(KEY, upload, number=number, expires=60)
        status, etag = await browser.put(url, data)
        assert status == 200
        return Part(number, etag, len(data))

    async def test_parts_become_one_object(self, storage: Storage, browser: Browser) -> None:
        blocks = [os.urandom(MIN_PART_BYTES), os.urandom(MIN_PART_BYTES + 1), b"tail"]
        upload = await storage.multipart.begin(KEY, content_type="image/png")
        sent = [await self.send(storage, browser, upload, 10 * at, blocks[at - 1]) for at in (3, 1, 2)]
        parts = sorted(sent, key=lambda part: part.number)
        assert await storage.multipart.parts(KEY, upload) == parts
        assert await keys(storage) == []
        await storage.multipart.complete(KEY, upload, parts)
        assert await content(storage, KEY) == b"".join(blocks)
        assert await keys(storage) == [KEY]
        assert await unfinished(storage) == []

    async def test_part_that_comes_again_takes_the_place_of_the_first(
        self, storage: Storage, browser: Browser
    ) -> None:
        upload = await storage.multipart.begin(KEY)
        first = await self.send(storage, browser, upload, 1, b"first try")
        again = await self.send(storage, browser, upload, 1, b"second")
        if self.replaces_parts:
            assert await storage.multipart.parts(KEY, upload) == [again]
            with pytest.raises(BadParts):
                await storage.multipart.complete(KEY, upload, [first])
        await storage.multipart.complete(KEY, upload, [again])
        assert await content(storage, KEY) == b"second"

    async def test_etags_may_come_back_without_their_quotes(self, storage: Storage, browser: Browser) -> None:
        upload = await storage.multipart.begin(KEY)
        part = await self.send(storage, browser, upload, 1, b"x")
        await storage.multipart.complete(KEY, upload, [replace(part, etag=part.etag.strip('"'))])
        assert await content(storage, KEY) == b"x"

    async def test_parts_left_out_are_not_in_the_object(self, storage: Storage, browser: Browser) -> None:
        upload = await storage.multipart.begin(KEY)
        await self.send(storage, browser, upload, 1, b"not wanted")
        second = await self.send(storage, browser, upload, 2, b"wanted")
        await storage.multipart.complete(KEY, upload, [second])
        assert await content(storage, KEY) == b"wanted"

    @pytest.mark.parametrize("lie", ["none", "order", "twice", "etag", "missing", "small"])
    async def test_bad_lists_of_parts_are_refused_and_change_nothing(
        self, storage: Storage, browser: Browser, lie: str
    ) -> None:
        upload = await storage.multipart.begin(KEY)
        size = 100 if lie == "small" else MIN_PART_BYTES
        one = await self.send(storage, browser, upload, 1, bytes(size))
        two = await self.send(storage, browser, upload, 2, b"tail")
        lists = {
            "none": [],
            "order": [two, one],
            "twice": [one, one],
            "etag": [replace(one, etag=f'"{"0" * 32}"'), two],
            "missing": [one, two, Part(3, two.etag, 4)],
            "small": [one, two],
        }
        with pytest.raises(BadParts):
            await storage.multipart.complete(KEY, upload, lists[lie])
        assert await keys(storage) == []
        assert len(await storage.multipart.parts(KEY, upload)) == 2

    async def test_aborted_upload_is_not_there(self, storage: Storage, browser: Browser) -> None:
        upload = await storage.multipart.begin(KEY)
        part = await self.send(storage, browser, upload, 1, b"x")
        url = await storage.multipart.presign(KEY, upload, number=2, expires=60)
        await storage.multipart.abort(KEY, upload)
        await storage.multipart.abort(KEY, upload)
        assert (await browser.put(url, b"late"))[0] == 404
        with pytest.raises(NotFound):
            await storage.multipart.parts(KEY, upload)
        with pytest.raises(NotFound):
            await storage.multipart.complete(KEY, upload, [part])
        assert await keys(storage) == []
        assert await unfinished(storage) == []

    async def test_completed_upload_is_not_there(self, storage: Storage, browser: Browser) -> None:
        upload = await storage.multipart.begin(KEY)
        part = await self.send(storage, browser, upload, 1, b"x")
        await storage.multipart.complete(KEY, upload, [part])
        await storage.multipart.abort(KEY, upload)
        with pytest.raises(NotFound):
            await storage.multipart.parts(KEY, upload)
        assert await content(storage, KEY) == b"x"

    async def test_upload_is_of_one_key(self, storage: Storage, browser: Browser) -> None:
        upload = await storage.multipart.begin(KEY)
        part = await self.send(storage, browser, upload, 1, b"x")
        with pytest.raises(ImgproxyError):
            await storage.multipart.complete(Key("folder/other.jpg"), upload, [part])
        with pytest.raises(NotFound):
            await storage.multipart.parts(Key("folder/other.jpg"), upload)
        await storage.multipart.abort(Key("folder/other.jpg"), upload)
        assert await storage.multipart.parts(KEY, upload) == [part]
        assert await keys(storage) == []

    @pytest.mark.parametrize("upload", ["0" * 32, "x", "..", "", "a/b", ".", "\u2028"])
    async def test_upload_that_never_was_is_not_there(self, storage: Storage, upload: str) -> None:
        with pytest.raises(ImgproxyError):
            await storage.multipart.parts(KEY, upload)
        with pytest.raises(ImgproxyError):
            await storage.multipart.complete(KEY, upload, [Part(1, '"e"', 1)])

    async def test_unfinished_uploads_are_listed_by_prefix(self, storage: Storage) -> None:
        uploads = {}
        for key in ("staging/a/1", "staging/a/2", "staging/ab/1"):
            uploads[key] = await storage.multipart.begin(Key(key))
        found = await unfinished(storage, "staging/a/")
        assert {upload.key: upload.upload for upload in found} == {
            key: uploads[key] for key in ("staging/a/1", "staging/a/2")
        }
        assert all(abs(upload.begun - time.time()) < 3600 for upload in found)
        assert await unfinished(storage, "elsewhere/") == []
        assert len(await unfinished(storage)) == 3

    async def test_completion_replaces_what_was_there(self, storage: Storage, browser: Browser) -> None:
        await stored(storage, data=b"old")
        upload = await storage.multipart.begin(KEY)
        part = await self.send(storage, browser, upload, 1, b"new")
        assert await content(storage, KEY) == b"old"
        await storage.multipart.complete(KEY, upload, [part])
        assert await content(storage, KEY) == b"new"

    async def test_racing_parts_are_each_whole(self, storage: Storage, browser: Browser) -> None:
        blocks = {number: bytes([number]) * (100_000 + number) for number in range(1, 9)}
        upload = await storage.multipart.begin(KEY)
        sent = await asyncio.gather(
            *(self.send(storage, browser, upload, number, data) for number, data in blocks.items())
        )
        assert await storage.multipart.parts(KEY, upload) == sent


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

    @pytest.mark.parametrize("key", HIDDEN)
    async def test_hidden_keys_hold_no_object_and_take_none(self, storage: Storage, key: Key) -> None:
        await stored(storage)
        await self.plant(storage, key)
        with pytest.raises(NotFound):
            await storage.head(key)
        with pytest.raises(NotFound):
            await storage.open(key, limit=PLENTY)
        with pytest.raises(NotFound):
            await content(storage, key)
        with pytest.raises(NotFound):
            await storage.copy(key, Key("seen.jpg"))
        with pytest.raises(NotFound):
            await storage.copy(KEY, key)
        with pytest.raises(NotFound):
            await storage.put(key, chunked(b"x"))
        with pytest.raises(NotFound):
            await storage.multipart.begin(key)
        await storage.delete(key)
        assert await keys(storage) == [KEY]
        assert await keys(storage, key[:9]) == []

    async def plant(self, storage: Storage, key: Key) -> None:
        """Store an object where the storage does not let us."""
        raise NotImplementedError

    @pytest.mark.parametrize(
        "spelling", ["a.b/c.jpg", "lost+found.jpg", "a/lost+found/b.jpg", "uploads/a.jpg"]
    )
    async def test_what_looks_like_a_hidden_key_is_an_object(self, storage: Storage, spelling: str) -> None:
        key = await stored(storage, Key(spelling))
        assert await keys(storage) == [key]

    async def test_check_passes(self, storage: Storage) -> None:
        await storage.check()

    async def test_close_may_come_twice(self, storage: Storage) -> None:
        await storage.close()
        await storage.close()
