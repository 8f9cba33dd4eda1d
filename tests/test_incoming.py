"""Files brought into the whole program: real workers, a real record, a folder or a real S3 server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp import FormData, web
from aiohttp.test_utils import TestClient, TestServer

from imgproxy import app
from imgproxy.cli import keys
from imgproxy.files.database import open_database
from imgproxy.files.database_url import SqliteUrl
from imgproxy.files.model import File, TenantId
from imgproxy.files.repository.files import file_by_key
from imgproxy.image.source import Key
from imgproxy.settings import Settings
from imgproxy.storage import MIN_PART_BYTES, Storage, StorageOptions
from imgproxy.storage.local import LocalOptions
from imgproxy.storage.s3 import S3Options
from tests.engine.strip_metadata.samples import SAMPLES, SECRET
from tests.files.uploading import everything
from tests.pictures import encoded, gradient, oriented
from tests.services import SeaweedFS

JPEG = encoded(gradient(64, 48), ".jpg")
OTHER_JPEG = encoded(gradient(32, 24), ".jpg")


@dataclass
class Site:
    """A running program, asked by its tenant's own key."""

    client: TestClient[web.Request, web.Application]
    storage: Storage
    settings: Settings
    key: str

    async def post(self, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        async with self.client.post(path, json=body, headers={"X-API-Key": self.key}) as answer:
            return answer.status, await answer.json()

    async def presign(self, **wish: Any) -> dict[str, Any]:
        given = {"filename": "cat.jpg", "contentType": "image/jpeg", **wish}
        return (await self.post("/v1/files/presigned-url", given))[1]

    async def put(self, told: dict[str, Any], body: bytes = JPEG) -> tuple[int, str]:
        """Send bytes to where we were told; return status and ETag."""
        sent = BytesIO(body)
        async with self.client.session.put(told["url"], data=sent, headers=told.get("headers")) as answer:
            await answer.read()
            return answer.status, answer.headers.get("ETag", "")

    async def register(self, key: str, **said: Any) -> tuple[int, dict[str, Any]]:
        given = {"s3Key": key, "originalName": "cat.jpg", "mimeType": "image/jpeg", "size": len(JPEG)}
        return await self.post("/v1/files", {**given, **said})

    async def file(self, key: str) -> File | None:
        """A file as another process sees it in the record."""
        database = await open_database(self.settings.database)
        try:
            return await database.read(lambda record: file_by_key(record, Key(key)))
        finally:
            await database.close()

    async def body(self, key: str) -> bytes:
        """A file's bytes, wherever they lie."""
        file = await self.file(key)
        assert file is not None
        return await everything(self.storage.read(file.object_key))


@asynccontextmanager
async def running(storage: StorageOptions, folder: Path, **chosen: Any) -> AsyncIterator[Site]:
    settings = Settings(
        storage=storage,
        database=chosen.pop("database", SqliteUrl(folder / "record.db")),
        cache_dir=folder / "cache",
        workers=1,
        jwt_secret="a secret of at least thirty-two bytes",
        **chosen,
    )
    key, _ = await keys.create_key(settings, "sk", TenantId("acme"))
    async with app.assemble(settings) as server, TestClient(TestServer(server.public)) as client:
        yield Site(client, server.storage, settings, key)


@pytest.fixture
def _credentials(seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in seaweedfs.owner.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> StorageOptions:
    """Where objects lie."""
    if request.param == "folder":
        return LocalOptions(tmp_path / "objects")
    request.getfixturevalue("_credentials")
    server: SeaweedFS = request.getfixturevalue("seaweedfs")
    return S3Options(request.getfixturevalue("bucket"), endpoint=server.endpoint, path_style=True)


@pytest.fixture
async def site(place: StorageOptions, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(place, tmp_path) as made:
        yield made


async def test_what_was_put_and_registered_stays_what_it_was(site: Site) -> None:
    told = await site.presign(fileSize=len(JPEG))
    assert (await site.put(told))[0] == 200
    status, file = await site.register(told["key"])
    assert (status, file["width"], file["height"], file["mimeType"]) == (201, 64, 48, "image/jpeg")
    assert (await site.put(told, JPEG[:-1] + b"!"))[0] == 200
    assert await site.body(told["key"]) == JPEG


async def test_a_put_of_another_size_or_type_is_refused(site: Site) -> None:
    told = await site.presign(fileSize=len(JPEG))
    assert (await site.put(told, JPEG + b"!"))[0] == 403
    assert (await site.put({**told, "headers": {"Content-Type": "text/html"}}))[0] == 403
    assert (await site.register(told["key"]))[0] == 404


LIES = [
    (OTHER_JPEG, {}, "file/file-too-small"),
    (b"<script>", {"size": 8}, "file/invalid-format"),
    (JPEG[:40], {"size": 40}, "file/invalid-format"),
    (JPEG, {"mimeType": "image/png"}, "file/invalid-format"),
]


@pytest.mark.parametrize(("body", "said", "code"), LIES)
async def test_a_lie_is_refused_and_can_be_mended(
    site: Site, body: bytes, said: dict[str, Any], code: str
) -> None:
    told = await site.presign()
    await site.put(told, body)
    status, problem = await site.register(told["key"], **said)
    assert (status, problem["error"]["code"]) == (400, code)
    await site.put(told)
    assert (await site.register(told["key"]))[0] == 201


async def test_sides_are_those_that_a_person_sees(site: Site) -> None:
    body = oriented(6)
    told = await site.presign()
    await site.put(told, body)
    _, file = await site.register(told["key"], size=len(body))
    assert (file["width"], file["height"]) == (40, 20)


async def test_parts_sent_in_any_order_become_one_file(site: Site) -> None:
    body = JPEG.ljust(MIN_PART_BYTES + 1000, b"\0")
    wish = {"filename": "cat.jpg", "contentType": "image/jpeg"}
    _, upload = await site.post("/v1/files/multipart/init", wish)
    named = {"uploadId": upload["uploadId"], "key": upload["key"]}
    parts = []
    for number, piece in ((2, body[MIN_PART_BYTES:]), (1, body[:MIN_PART_BYTES])):
        _, told = await site.post("/v1/files/multipart/presigned-url", {**named, "partNumber": number})
        status, etag = await site.put(told, piece)
        assert status == 200
        parts.insert(0, {"partNumber": number, "etag": etag})
    for _ in range(2):
        assert (await site.post("/v1/files/multipart/complete", {**named, "parts": parts}))[0] == 200
    status, file = await site.register(upload["key"], size=len(body))
    assert (status, file["width"]) == (201, 64)
    assert await site.body(upload["key"]) == body


async def everything_stored(site: Site) -> list[str]:
    """Objects and unfinished uploads."""
    objects = [key async for key, _ in site.storage.list()]
    return [*objects, *[each.key async for each in site.storage.multipart.list()]]


async def test_put_over_the_collections_limit_is_refused_at_once_or_removed_at_registration(
    site: Site,
) -> None:
    told = await site.presign(category="avatars")
    body = JPEG.ljust(2 * 1024**2 + 1, b"\0")
    status, _ = await site.put(told, body)
    assert status == (200 if isinstance(site.settings.storage, S3Options) else 413)
    assert (await site.register(told["key"], size=len(body)))[0] in (400, 404)
    assert await everything_stored(site) == []


async def test_parts_over_the_declared_size_are_refused_at_once_or_removed_at_completion(site: Site) -> None:
    wish = {"filename": "cat.jpg", "contentType": "image/jpeg", "fileSize": 1000}
    _, upload = await site.post("/v1/files/multipart/init", wish)
    named = {"uploadId": upload["uploadId"], "key": upload["key"]}
    _, told = await site.post("/v1/files/multipart/presigned-url", {**named, "partNumber": 1})
    status, etag = await site.put(told, JPEG.ljust(1001, b"\0"))
    if isinstance(site.settings.storage, S3Options):
        parts = [{"partNumber": 1, "etag": etag}]
        status, problem = await site.post("/v1/files/multipart/complete", {**named, "parts": parts})
        assert (status, problem["error"]["code"]) == (400, "file/file-too-large")
        assert await everything_stored(site) == []
    else:
        assert status == 413


async def test_stripped_image_is_what_its_file_says(place: StorageOptions, tmp_path: Path) -> None:
    _, body = SAMPLES["jpeg"]
    async with running(place, tmp_path, upload_metadata="strip") as site:
        told = await site.presign(fileSize=len(body))
        assert (await site.put(told, body))[0] == 200
        status, file = await site.register(told["key"], size=len(body))
        assert status == 201
        stored = await site.body(told["key"])
        assert (SECRET in stored, len(stored)) == (False, file["size"])


async def send(site: Site, body: bytes) -> tuple[int, dict[str, Any]]:
    form = FormData()
    form.add_field("category", "avatars")
    form.add_field("file", BytesIO(body), filename="cat.jpg", content_type="image/jpeg")
    async with site.client.post("/v1/files", data=form, headers={"X-API-Key": site.key}) as answer:
        return answer.status, await answer.json()


async def test_a_file_can_be_sent_to_us(site: Site) -> None:
    status, file = await send(site, JPEG)
    assert (status, file["width"], file["bucket"]) == (201, 64, "avatars")
    assert await site.body(file["key"]) == JPEG


async def test_too_large_a_file_that_is_sent_to_us_leaves_nothing(site: Site) -> None:
    status, problem = await send(site, JPEG.ljust(20 * 1024**2, b"\0"))
    assert (status, problem["error"]["code"]) == (413, "common/body-too-large")
    assert [key async for key, _ in site.storage.list()] == []
    assert [each async for each in site.storage.multipart.list()] == []


async def test_what_nobody_registers_is_published_when_it_arrives(tmp_path: Path) -> None:
    address = LocalOptions(tmp_path / "objects")
    async with running(address, tmp_path, publish="auto") as site:
        told = await site.presign()
        assert await site.file(told["key"]) is None
        await site.put(told)
        file = await site.file(told["key"])
        assert file is not None
        assert (file.width, file.original_name) == (64, "cat.jpg")
        status, record = await site.register(told["key"], alt="a cat")
        assert (status, record["alt"], record["id"]) == (201, "a cat", file.id)


async def test_what_must_be_registered_is_not_published(site: Site) -> None:
    told = await site.presign()
    await site.put(told)
    assert await site.file(told["key"]) is None
