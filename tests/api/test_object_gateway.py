"""The gateway does for a folder what S3 does for its bucket, as far as any client can tell."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from imgproxy.api import put_object as put_module
from imgproxy.image.source import Key
from imgproxy.storage.local import LocalStorage
from imgproxy.storage.memory import MemoryStorage
from imgproxy.storage.signed_url import UrlSigner
from imgproxy.telemetry import AccessLog
from tests.files.keeping import until
from tests.storage.broken import BrokenStorage
from tests.storage.contract import KEY, content, keys, stored
from tests.storage.served import asking, listening, raw, status

SECRET = b"secret"
PAGE = "https://app.example"


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.fixture
async def storage(root: Path, clock: Clock) -> AsyncIterator[LocalStorage]:
    storage = LocalStorage(root, UrlSigner(SECRET, clock=clock))
    yield storage
    await storage.close()


@pytest.fixture
async def server(storage: LocalStorage) -> AsyncIterator[TestServer]:
    async with listening(storage) as server:
        yield server


def put(url: str, *headers: str, body: bytes = b"") -> bytes:
    return (
        "\r\n".join([f"PUT {url} HTTP/1.1", "Host: x", "Connection: close", *headers, "", ""]).encode() + body
    )


def detail(answer: bytes) -> str:
    return str(json.loads(answer.partition(b"\r\n\r\n")[2])["detail"])


def left_behind(root: Path) -> list[Path]:
    """Files that nobody will ever name."""
    return list((root / ".uploads").glob("*"))


class TestPut:
    async def test_an_object_is_stored_and_its_version_told(
        self, server: TestServer, storage: LocalStorage
    ) -> None:
        url = await storage.presign("PUT", KEY, expires=60, content_type="image/png", content_length=5)
        headers = {"Content-Type": "image/png"}
        async with asking(server, "PUT", url, data=b"01234", headers=headers) as answer:
            assert (answer.status, await answer.read()) == (200, b"")
            assert answer.headers["ETag"] == f'"{(await storage.head(KEY)).version}"'
        assert await content(storage, KEY) == b"01234"

    async def test_an_empty_object_is_an_object(self, server: TestServer, storage: LocalStorage) -> None:
        url = await storage.presign("PUT", KEY, expires=60)
        assert status(await raw(server, put(url, "Content-Length: 0"))) == 200
        assert await content(storage, KEY) == b""

    @pytest.mark.parametrize(
        ("headers", "body", "expected", "says"),
        [
            (["Content-Type: a/b", "Content-Length: 4"], b"0123", 403, "of 5 bytes"),
            (["Content-Type: a/c", "Content-Length: 5"], b"01234", 403, "Content-Type: a/b"),
            (["Content-Type: a/b;charset=utf-8", "Content-Length: 5"], b"01234", 403, "Content-Type: a/b"),
            (["Content-Length: 5"], b"01234", 403, "Content-Type: a/b"),
            (["Content-Type: a/b", "Transfer-Encoding: chunked"], b"5\r\n01234\r\n0\r\n\r\n", 411, "Length"),
            (["Content-Type: a/b"], b"", 411, "Content-Length"),
            (["Content-Type: a/b", "Content-Length: 5", "Content-Encoding: gzip"], b"01234", 415, "Encoding"),
            (["Content-Type: a/b", "Content-Length: 5", "Content-MD5: x"], b"01234", 400, "16 bytes"),
            (
                ["Content-Type: a/b", "Content-Length: 5", f"Content-MD5: {'A' * 22}=="],
                b"01234",
                400,
                "not what its Content-MD5 says",
            ),
        ],
    )
    async def test_what_is_not_what_was_signed_leaves_nothing(
        self,
        server: TestServer,
        storage: LocalStorage,
        root: Path,
        headers: list[str],
        body: bytes,
        expected: int,
        says: str,
    ) -> None:
        url = await storage.presign("PUT", KEY, expires=60, content_type="a/b", content_length=5)
        answer = await raw(server, put(url, *headers, body=body))
        assert (status(answer), says in detail(answer)) == (expected, True)
        assert await keys(storage) == []
        assert left_behind(root) == []

    async def test_a_fitting_digest_is_taken(self, server: TestServer, storage: LocalStorage) -> None:
        url = await storage.presign("PUT", KEY, expires=60)
        digest = base64.b64encode(hashlib.md5(b"01234", usedforsecurity=False).digest()).decode()
        async with asking(server, "PUT", url, data=b"01234", headers={"Content-MD5": digest}) as answer:
            assert answer.status == 200

    async def test_more_than_one_put_may_carry_is_413_before_a_byte_is_read(
        self, server: TestServer, storage: LocalStorage
    ) -> None:
        url = await storage.presign("PUT", KEY, expires=60)
        answer = await raw(server, put(url, f"Content-Length: {put_module.MAX_BYTES + 1}"))
        assert status(answer) == 413

    async def test_a_url_that_has_ended_says_so(
        self, server: TestServer, storage: LocalStorage, clock: Clock
    ) -> None:
        url = await storage.presign("PUT", KEY, expires=60)
        clock.now += 60
        async with asking(server, "PUT", url, data=b"x") as answer:
            told = await answer.json()
        assert (answer.status, told["error"]["code"]) == (403, "file/access-denied")
        assert told["detail"] == "the URL has expired"
        assert told["request_id"] == answer.headers["X-Request-Id"]

    async def test_who_waits_to_be_asked_is_refused_without_the_body(
        self, server: TestServer, storage: LocalStorage, clock: Clock
    ) -> None:
        url = await storage.presign("PUT", KEY, expires=60)
        clock.now += 60
        request = put(url, "Content-Length: 1000000", "Expect: 100-continue")
        answer = await raw(server, request)
        assert (answer[:12], status(answer)) == (b"HTTP/1.1 403", 403)

    async def test_who_waits_to_be_asked_is_asked(self, server: TestServer, storage: LocalStorage) -> None:
        url = await storage.presign("PUT", KEY, expires=60)
        answer = await raw(server, put(url, "Content-Length: 2", "Expect: 100-continue", body=b"ok"))
        assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
        assert await content(storage, KEY) == b"ok"

    async def test_any_other_expectation_fails(self, server: TestServer, storage: LocalStorage) -> None:
        url = await storage.presign("PUT", KEY, expires=60)
        answer = await raw(server, put(url, "Content-Length: 2", "Expect: miracles", body=b"ok"))
        assert status(answer) == 417

    @pytest.mark.parametrize("begun", [b"", b"01234"])
    async def test_a_body_that_stalls_ends(self, storage: LocalStorage, root: Path, begun: bytes) -> None:
        url = await storage.presign("PUT", KEY, expires=60)
        async with listening(storage, patience=0.05) as server:
            answer = await raw(server, put(url, "Content-Length: 10", body=begun))
        assert status(answer) == 408
        assert await keys(storage) == []
        assert left_behind(root) == []

    async def test_a_client_that_leaves_leaves_nothing(
        self, server: TestServer, storage: LocalStorage, root: Path
    ) -> None:
        url = await storage.presign("PUT", KEY, expires=60)
        _, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(put(url, f"Content-Length: {2**30}", body=bytes(2**21)))
        await until(lambda: sum(path.stat().st_size for path in left_behind(root)) > 0)
        writer.transport.abort()
        await until(lambda: left_behind(root) == [])
        assert await keys(storage) == []

    async def test_a_large_body_is_never_held_in_memory(self, clock: Clock) -> None:
        taken = 0
        most = 0

        class Sink(MemoryStorage):
            async def put(self, key: Key, chunks: AsyncIterator[bytes], **_: Any) -> Any:
                nonlocal taken, most
                async for chunk in chunks:
                    taken, most = taken + len(chunk), max(most, len(chunk))
                return await super().put(key, empty())

        storage = Sink(UrlSigner(SECRET, clock=clock))
        url = await storage.presign("PUT", KEY, expires=60)
        async with (
            listening(storage) as server,
            asking(server, "PUT", url, data=io.BytesIO(bytes(2**25))) as answer,
        ):
            assert answer.status == 200
        assert taken == 2**25
        assert most <= 2**20

    async def test_parts_are_put_and_replaced(self, server: TestServer, storage: LocalStorage) -> None:
        upload = await storage.multipart.begin(KEY)
        url = await storage.multipart.presign(KEY, upload, number=7, expires=60)
        for data in (b"first", b"again"):
            async with asking(server, "PUT", url, data=data) as answer:
                assert answer.status == 200
        [part] = await storage.multipart.parts(KEY, upload)
        assert (part.number, part.etag, part.size) == (7, answer.headers["ETag"], 5)

    @pytest.mark.parametrize("kind", [LocalStorage, MemoryStorage])
    async def test_parts_above_the_limit_of_all_are_413(self, kind: type, root: Path) -> None:
        storage = kind(*([root] if kind is LocalStorage else []))
        upload = await storage.multipart.begin(KEY)
        async with listening(storage) as server:
            answers = []
            for number, size in ((1, 60), (2, 41), (2, 40), (1, 61), (1, 101)):
                url = await storage.multipart.presign(KEY, upload, number=number, expires=60, limit=100)
                async with asking(server, "PUT", url, data=bytes(size)) as answer:
                    answers.append(answer.status)
        assert answers == [200, 413, 200, 413, 413]
        assert [part.size for part in await storage.multipart.parts(KEY, upload)] == [60, 40]

    async def test_put_above_the_limit_is_413(self, server: TestServer, storage: LocalStorage) -> None:
        url = await storage.presign("PUT", KEY, expires=60, limit=5)
        for data, expected in ((b"012345", 413), (b"01234", 200)):
            async with asking(server, "PUT", url, data=data) as answer:
                assert answer.status == expected
        assert await content(storage, KEY) == b"01234"

    async def test_a_failed_part_leaves_the_others(self, storage: LocalStorage) -> None:
        upload = await storage.multipart.begin(KEY)
        async with listening(storage, patience=0.05) as server:
            for number, body, expected in ((1, b"whole", 200), (2, b"hal", 408)):
                url = await storage.multipart.presign(KEY, upload, number=number, expires=60)
                assert status(await raw(server, put(url, "Content-Length: 5", body=body))) == expected
        assert [part.number for part in await storage.multipart.parts(KEY, upload)] == [1]


async def empty() -> AsyncIterator[bytes]:
    return
    yield b""


@pytest.mark.parametrize("call", ["head", "read"])
async def test_a_failing_storage_is_not_the_clients_fault(call: str) -> None:
    storage = BrokenStorage(only=("head",) if call == "head" else ("put",))
    url = await storage.presign("GET" if call == "head" else "PUT", KEY, expires=60)
    async with listening(storage) as server:
        method = "GET" if call == "head" else "PUT"
        async with asking(server, method, url, data=b"x" if method == "PUT" else None) as answer:
            told = await answer.json()
    assert (answer.status, told["error"]["code"]) == (502, "common/storage-failed")


class TestPages:
    async def test_a_page_is_told_what_it_may_send(self, server: TestServer) -> None:
        headers = {
            "Origin": PAGE,
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "content-type,x-amz-meta-a",
        }
        async with asking(server, "OPTIONS", "/-/any/key", headers=headers) as answer:
            assert answer.status == 204
            told = answer.headers
        assert told["Access-Control-Allow-Origin"] == "*"
        assert "PUT" in told["Access-Control-Allow-Methods"]
        assert told["Access-Control-Allow-Headers"] == "content-type,x-amz-meta-a"
        assert "Access-Control-Allow-Credentials" not in told

    @pytest.mark.parametrize(
        ("origin", "expected"), [(PAGE, PAGE), ("https://evil.example", None), (None, None)]
    )
    async def test_only_pages_of_the_origins_listed_may(
        self, storage: LocalStorage, origin: str | None, expected: str | None
    ) -> None:
        headers = {"Origin": origin} if origin else {}
        async with listening(storage, origins=(PAGE,)) as server:
            for method in ("OPTIONS", "GET"):
                async with asking(server, method, "/-/any/key", headers=headers) as answer:
                    assert answer.headers.get("Access-Control-Allow-Origin") == expected
                    assert answer.headers["Vary"] == "Origin"

    @pytest.mark.parametrize("method", ["GET", "PUT"])
    async def test_a_page_may_read_even_an_error(self, server: TestServer, method: str) -> None:
        async with asking(server, method, "/-/any/key", headers={"Origin": PAGE}) as answer:
            assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (403, "*")

    @pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH", "PURGE"])
    async def test_other_methods_are_not_served(self, server: TestServer, method: str) -> None:
        async with asking(server, method, "/-/any/key") as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, PUT, OPTIONS")


async def test_a_defect_is_logged_and_not_told(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    class Defective(MemoryStorage):
        async def head(self, key: Key) -> Any:
            raise ZeroDivisionError("/secret/path")

    storage = Defective(UrlSigner(SECRET, clock=clock))
    async with (
        listening(storage) as server,
        asking(server, "GET", await storage.presign("GET", KEY, expires=60)) as answer,
    ):
        assert (answer.status, "secret" in await answer.text()) == (500, False)
    assert "/secret/path" in caplog.text


async def test_the_log_has_the_path_and_not_the_signed_url(storage: LocalStorage) -> None:
    stream = io.StringIO()
    log = AccessLog(stream)
    await stored(storage)
    url = await storage.presign("GET", KEY, expires=60)
    async with listening(storage, log=log) as server, asking(server, "GET", url) as answer:
        await answer.read()
    await log.close()
    [line] = stream.getvalue().splitlines()
    assert (json.loads(line)["target"], "signature" in line) == (f"/-/{KEY}", False)


class TestCurl:
    """With curl itself."""

    async def test_a_file_is_uploaded(
        self, server: TestServer, storage: LocalStorage, tmp_path: Path
    ) -> None:
        data = os.urandom(3 * 1024 * 1024)  # above 1 MiB curl waits to be asked for it
        (tmp_path / "photo.jpg").write_bytes(data)
        url = await storage.presign(
            "PUT", KEY, expires=60, content_type="image/jpeg", content_length=len(data)
        )
        told = await curl(
            *("--upload-file", str(tmp_path / "photo.jpg"), "-H", "Content-Type: image/jpeg", "-D", "-"),
            str(server.make_url("/")).rstrip("/") + url,
        )
        assert re.search(rb"200 OK\r\n", told)
        assert await content(storage, KEY) == data

    async def test_a_download_is_resumed(
        self, server: TestServer, storage: LocalStorage, tmp_path: Path
    ) -> None:
        data = os.urandom(2 * 1024 * 1024)
        await stored(storage, data=data)
        target = tmp_path / "download"
        target.write_bytes(data[:700_001])
        url = await storage.presign("GET", KEY, expires=60)
        told = await curl(
            "-C", "-", "-o", str(target), "-D", "-", str(server.make_url("/")).rstrip("/") + url
        )
        assert b"206 Partial Content" in told
        assert target.read_bytes() == data


async def curl(*arguments: str) -> bytes:
    """Run curl; return what it says."""
    found = shutil.which("curl")
    if not found:
        if "CI" in os.environ:
            pytest.fail("curl is not installed")
        pytest.skip("curl is not installed")  # a laptop runs `make test` with nothing but Python
    process = await asyncio.create_subprocess_exec(
        found, "-sS", "--fail", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    told, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    return told
