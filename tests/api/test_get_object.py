"""What a URL was given for is sent whole, in part, or not again; and whoever takes nothing is let go."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import closing

import pytest
from aiohttp.test_utils import TestServer

from imgproxy.errors import NotFound
from imgproxy.files.file_status import FileStatus, MemoryFileStatuses
from imgproxy.files.model import Visibility
from imgproxy.image.source import Key
from imgproxy.storage.memory import MemoryStorage
from imgproxy.storage.signed_url import UrlSigner
from tests.files.keeping import until
from tests.storage.broken import HeldStorage
from tests.storage.contract import ABSENT, KEY, chunked, stored
from tests.storage.served import asking, listening, raw, status

EXPOSED = "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag, Location, X-Request-Id"
SANDBOX = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
SAFE = {
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": SANDBOX,
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Noted(MemoryStorage):
    """Notes which bytes are read."""

    def __init__(self) -> None:
        super().__init__(UrlSigner(b"secret", clock=time.time))
        self.reads: list[tuple[int, int | None]] = []

    async def read(self, key: Key, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        self.reads.append((start, end))
        async for chunk in super().read(key, start=start, end=end):
            yield chunk


@pytest.fixture
def storage() -> Noted:
    return Noted()


@pytest.fixture
async def server(storage: Noted) -> AsyncIterator[TestServer]:
    async with listening(storage) as server:
        yield server


async def given(storage: MemoryStorage, data: bytes = b"0123456789") -> str:
    """A URL of an object that is there."""
    await stored(storage, data=data)
    return await storage.presign("GET", KEY, expires=60)


async def etag(storage: MemoryStorage) -> str:
    return f'"{(await storage.head(KEY)).version}"'


def get(url: str) -> bytes:
    return f"GET {url} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


async def test_the_answer_is_safe_to_show_and_kept_by_nobody(server: TestServer, storage: Noted) -> None:
    await stored(storage)
    name = 'attachment; filename="a.html"'
    url = await storage.presign("GET", KEY, expires=60, content_type="text/html", disposition=name)
    async with asking(server, "GET", url) as answer:
        assert await answer.read() == b"0123456789"
        told = {name.lower(): value for name, value in answer.headers.items()}
    expected = {name.lower(): value for name, value in SAFE.items()} | {
        "accept-ranges": "bytes",
        "access-control-allow-origin": "*",
        "access-control-expose-headers": EXPOSED,
        "content-disposition": name,
        "content-length": "10",
        "content-type": "text/html",
        "etag": await etag(storage),
        "server": "imgproxy",
    }
    assert told.keys() - expected.keys() == {"date", "last-modified", "x-request-id"}
    assert told | expected == told


@pytest.mark.parametrize(
    ("signed", "kept", "expected"),
    [
        ("text/plain", "image/png", "text/plain"),
        (None, "text/html", "application/octet-stream"),
        (None, None, "application/octet-stream"),
    ],
)
async def test_the_type_is_the_one_signed_and_never_the_one_stored(
    server: TestServer, storage: Noted, signed: str | None, kept: str | None, expected: str
) -> None:
    await storage.put(KEY, chunked(b"x"), content_type=kept)
    url = await storage.presign("GET", KEY, expires=60, content_type=signed)
    async with asking(server, "GET", url) as answer:
        assert answer.headers["Content-Type"] == expected


async def test_nothing_is_said_of_a_name_unless_it_was_signed(server: TestServer, storage: Noted) -> None:
    async with asking(server, "GET", await given(storage)) as answer:
        assert "Content-Disposition" not in answer.headers


async def test_head_is_get_without_the_body_and_reads_nothing(server: TestServer, storage: Noted) -> None:
    url = await given(storage)
    async with asking(server, "HEAD", url) as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, "10")
        assert (answer.headers["Content-Type"], await answer.read()) == ("application/octet-stream", b"")
    assert storage.reads == []


@pytest.mark.parametrize("asked", ["bytes=0-1", "bytes=10-"])
async def test_head_tells_of_the_whole_whatever_range_is_asked_for(
    server: TestServer, storage: Noted, asked: str
) -> None:
    async with asking(server, "HEAD", await given(storage), headers={"Range": asked}) as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, "10")


async def test_what_is_not_there_is_not_found(server: TestServer, storage: Noted) -> None:
    async with asking(server, "GET", await storage.presign("GET", ABSENT, expires=60)) as answer:
        assert answer.status == 404


async def test_an_empty_object_is_sent_without_being_read(server: TestServer, storage: Noted) -> None:
    async with asking(server, "GET", await given(storage, b"")) as answer:
        assert (answer.status, answer.headers["Content-Length"], await answer.read()) == (200, "0", b"")
    assert storage.reads == []


async def test_of_a_range_no_more_is_read_than_is_sent(server: TestServer, storage: Noted) -> None:
    url = await given(storage)
    async with asking(server, "GET", url, headers={"Range": "bytes=3-6"}) as answer:
        told = (answer.status, answer.headers["Content-Range"], answer.headers["Content-Length"])
        assert (told, await answer.read()) == ((206, "bytes 3-6/10", "4"), b"3456")
    assert storage.reads == [(3, 7)]


async def test_the_whole_is_not_called_a_range(server: TestServer, storage: Noted) -> None:
    async with asking(server, "GET", await given(storage)) as answer:
        assert (answer.status, "Content-Range" in answer.headers) == (200, False)


async def test_several_ranges_are_the_whole(server: TestServer, storage: Noted) -> None:
    url = await given(storage)
    async with asking(server, "GET", url, headers={"Range": "bytes=0-1,4-5"}) as answer:
        assert (answer.status, await answer.read()) == (200, b"0123456789")


@pytest.mark.parametrize(("data", "asked"), [(b"0123456789", "bytes=10-"), (b"", "bytes=0-")])
async def test_a_range_behind_the_end_tells_the_size_and_is_safe_too(
    server: TestServer, storage: Noted, data: bytes, asked: str
) -> None:
    url = await given(storage, data)
    async with asking(server, "GET", url, headers={"Range": asked}) as answer:
        assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{len(data)}")
        assert (dict(answer.headers) | SAFE, await answer.read()) == (dict(answer.headers), b"")


@pytest.mark.parametrize(("fits", "expected"), [(True, 206), (False, 200)])
@pytest.mark.parametrize("validator", ["ETag", "Last-Modified"])
async def test_a_download_is_resumed_only_of_what_it_began_with(
    server: TestServer, storage: Noted, validator: str, fits: bool, expected: int
) -> None:
    url = await given(storage)
    async with asking(server, "HEAD", url) as answer:
        condition = answer.headers[validator] if fits else '"another"'
    headers = {"Range": "bytes=5-", "If-Range": condition}
    async with asking(server, "GET", url, headers=headers) as answer:
        assert (answer.status, (await answer.read())[-5:]) == (expected, b"56789")


async def test_a_weak_name_of_what_it_began_with_is_not_enough(server: TestServer, storage: Noted) -> None:
    """RFC 9110 §13.1.5: what is only alike cannot be sewn together."""
    url = await given(storage)
    headers = {"Range": "bytes=5-", "If-Range": f"W/{await etag(storage)}"}
    async with asking(server, "GET", url, headers=headers) as answer:
        assert (answer.status, await answer.read()) == (200, b"0123456789")


@pytest.mark.parametrize("range_", ["bytes=10-", "bytes=2-3"])
async def test_what_has_changed_since_is_sent_whole_whatever_range_is_asked_for(
    server: TestServer, storage: Noted, range_: str
) -> None:
    headers = {"Range": range_, "If-Range": '"another"'}
    async with asking(server, "GET", await given(storage), headers=headers) as answer:
        assert (answer.status, await answer.read()) == (200, b"0123456789")


@pytest.mark.parametrize(
    ("known", "expected"),
    [("{}", 304), ("W/{}", 304), ("*", 304), ('"x", {}', 304), ('"x"', 200), ("", 200), ('"x{}"', 200)],
)
async def test_who_has_it_is_told_so(server: TestServer, storage: Noted, known: str, expected: int) -> None:
    url = await given(storage)
    headers = {"If-None-Match": known.format(await etag(storage))}
    async with asking(server, "GET", url, headers=headers) as answer:
        assert answer.status == expected


async def test_who_has_it_is_sent_its_name_and_no_byte_even_if_a_range_was_asked_for(
    server: TestServer, storage: Noted
) -> None:
    url = await given(storage)
    tag = await etag(storage)
    async with asking(server, "GET", url, headers={"If-None-Match": tag, "Range": "bytes=99-"}) as answer:
        assert (answer.status, answer.headers["ETag"], await answer.read()) == (304, tag, b"")
    assert storage.reads == []


async def test_an_object_that_breaks_off_is_seen_to(caplog: pytest.LogCaptureFixture) -> None:
    class Short(Noted):
        async def read(self, key: Key, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
            yield b"01234"
            raise NotFound("gone meanwhile")

    storage = Short()
    async with listening(storage) as server:
        answer = await raw(server, get(await given(storage)))
    assert (status(answer), answer[-5:]) == (200, b"01234")
    assert "gone meanwhile" in caplog.text


async def test_a_client_that_takes_nothing_is_gone() -> None:
    storage = Noted()
    url = await given(storage, bytes(2**25))
    async with listening(storage, patience=0.05) as server:
        _, writer = await asyncio.open_connection(server.host, server.port, limit=1)
        with closing(writer):
            writer.write(get(url))
            await until(lambda: server.runner.server and not server.runner.server.connections)


async def test_a_client_that_leaves_stops_the_reading() -> None:
    class Watched(HeldStorage):
        stopped = False

        async def before(self, call: str) -> None:
            try:
                await super().before(call)
            except asyncio.CancelledError:
                self.stopped = True
                raise

    storage = Watched()
    url = await given(storage)
    async with listening(storage) as server:
        _, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(get(url))
        await storage.reached.wait()
        writer.transport.abort()
        await until(lambda: storage.stopped)


FILE = Key("images/1/cat.jpg")
MIB = 1024 * 1024


@pytest.fixture
def access() -> MemoryFileStatuses:
    """Knows one file, whose bytes lie at `KEY`."""
    access = MemoryFileStatuses()
    flip(access)
    return access


def flip(access: MemoryFileStatuses) -> None:
    """Change the file, so that its generation goes up."""
    access.register(FILE, Visibility.PRIVATE, version="1", modified=0, object_key=KEY)


def file_url(storage: MemoryStorage, *, generation: int = 1) -> str:
    return storage.url_signer.presign("GET", FILE, expires=60, generation=generation)


async def test_deliver_of_a_file_gives_its_bytes_whole_in_part_and_not_again(
    storage: Noted, access: MemoryFileStatuses
) -> None:
    await stored(storage)
    url = file_url(storage)
    async with listening(storage, access=access) as server:
        async with asking(server, "GET", url) as answer:
            assert (answer.status, await answer.read()) == (200, b"0123456789")
            assert answer.headers["Cache-Control"] == "private, no-store"
            tag = answer.headers["ETag"]
        async with asking(server, "GET", url, headers={"Range": "bytes=3-6", "If-Range": tag}) as answer:
            assert (answer.status, await answer.read()) == (206, b"3456")
        async with asking(server, "GET", url, headers={"If-None-Match": tag}) as answer:
            assert (answer.status, await answer.read()) == (304, b"")
        async with asking(server, "HEAD", url) as answer:
            assert (answer.status, answer.headers["Content-Length"]) == (200, "10")


@pytest.mark.parametrize("change", [flip, lambda access: access.forget(FILE)], ids=["changed", "gone"])
async def test_deliver_of_a_file_that_has_changed_is_403_in_every_form(
    storage: Noted, access: MemoryFileStatuses, change: Callable[[MemoryFileStatuses], None]
) -> None:
    await stored(storage)
    url, tag = file_url(storage), await etag(storage)
    change(access)
    async with listening(storage, access=access) as server:
        for method, headers in [
            ("GET", {}),
            ("HEAD", {}),
            ("GET", {"Range": "bytes=0-1"}),
            ("GET", {"If-None-Match": tag}),
            ("GET", {"If-None-Match": "*"}),
        ]:
            async with asking(server, method, url, headers=headers) as answer:
                assert (answer.status, "ETag" in answer.headers) == (403, False)
    assert storage.reads == []


@pytest.mark.parametrize("change", ["2", "01", "", "1&generation=1"])
async def test_deliver_of_a_file_by_a_changed_generation_is_403(
    storage: Noted, access: MemoryFileStatuses, change: str
) -> None:
    await stored(storage)
    url = file_url(storage)
    flip(access)
    async with (
        listening(storage, access=access) as server,
        asking(server, "GET", url.replace("generation=1", f"generation={change}")) as answer,
    ):
        assert answer.status == 403


async def test_deliver_of_a_file_without_a_generation_finds_no_object(
    storage: Noted, access: MemoryFileStatuses
) -> None:
    await stored(storage)
    url = await storage.presign("GET", FILE, expires=60)
    async with listening(storage, access=access) as server, asking(server, "GET", url) as answer:
        assert answer.status == 404


async def test_deliver_of_a_file_ends_in_its_midst_when_the_file_changes(access: MemoryFileStatuses) -> None:
    class Flipped(Noted):
        async def read(self, key: Key, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
            async for chunk in super().read(key, start=start, end=end):
                yield chunk
            if start == MIB:
                flip(access)

    storage = Flipped()
    await stored(storage, data=bytes(4 * MIB))
    async with listening(storage, access=access) as server:
        answer = await raw(server, get(file_url(storage)))
    assert status(answer) == 200
    assert MIB < len(answer) < MIB + 2000  # what was read while the file changed is not sent
    assert storage.reads == [(0, MIB), (MIB, 2 * MIB)]


async def test_deliver_of_a_file_reads_no_further_than_its_client(access: MemoryFileStatuses) -> None:
    storage = Noted()
    await stored(storage, data=bytes(32 * MIB))
    async with listening(storage, access=access, patience=0.2) as server:
        _, writer = await asyncio.open_connection(server.host, server.port, limit=1)
        with closing(writer):
            writer.write(get(file_url(storage)))
            await until(lambda: server.runner.server and not server.runner.server.connections)
    assert 0 < len(storage.reads) < 16  # what the kernel takes, and a piece


async def test_deliver_of_a_range_of_a_file_reads_pieces_of_it(
    storage: Noted, access: MemoryFileStatuses
) -> None:
    data = bytes(range(256)) * (3 * MIB // 256)
    await stored(storage, data=data)
    async with listening(storage, access=access) as server:
        headers = {"Range": f"bytes=100-{2 * MIB + 200}"}
        async with asking(server, "GET", file_url(storage), headers=headers) as answer:
            assert await answer.read() == data[100 : 2 * MIB + 201]
    assert storage.reads == [(100, MIB + 100), (MIB + 100, 2 * MIB + 100), (2 * MIB + 100, 2 * MIB + 201)]


class Stale(MemoryFileStatuses):
    """Remembers a file as it was until it is told of a change, as another machine does."""

    def __init__(self, *, forgets: bool) -> None:
        super().__init__()
        self.asked = 0
        self._old: FileStatus | None = None
        self._forgets = forgets
        self._is_told = False

    async def look(self, key: Key) -> FileStatus | None:
        self.asked += 1
        return await super().look(key) if self._is_told else self._old

    def changed(self, key: Key) -> None:
        self._is_told = self._forgets


@pytest.mark.parametrize(("forgets", "expected"), [(True, 200), (False, 403)])
async def test_deliver_of_a_file_newer_than_what_is_known_of_it_asks_once_more(
    storage: Noted, forgets: bool, expected: int
) -> None:
    await stored(storage)
    access = Stale(forgets=forgets)
    flip(access)
    url = file_url(storage)
    async with listening(storage, access=access) as server, asking(server, "HEAD", url) as answer:
        assert (answer.status, access.asked) == (expected, 2)
