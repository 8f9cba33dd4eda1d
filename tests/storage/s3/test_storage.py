"""A bucket of a real S3 server keeps the promises of a storage, and signs URLs that it then honours."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from imgproxy.errors import NotFound, StorageFailed
from imgproxy.image.source import Key
from imgproxy.storage import Storage
from imgproxy.storage.s3 import S3Options
from imgproxy.storage.s3.multipart import PART_BYTES
from imgproxy.storage.s3.storage import S3Storage
from tests.services import Identity, SeaweedFS
from tests.storage.contract import (
    KEY,
    Browser,
    MultipartContract,
    PresignContract,
    StorageContract,
    browsing,
    chunked,
    content,
    interrupted,
    keys,
)

pytestmark = pytest.mark.usefixtures("quick_clients")


@pytest.fixture(autouse=True)
def _credentials(seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> None:
    take(seaweedfs.owner, monkeypatch)


def take(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go by the credentials of somebody."""
    for name, value in identity.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def options(seaweedfs: SeaweedFS, bucket: str) -> S3Options:
    return S3Options(bucket, endpoint=seaweedfs.endpoint, path_style=True)


@pytest.fixture
async def storage(options: S3Options) -> AsyncIterator[S3Storage]:
    storage = await S3Storage.connect(options)
    yield storage
    await storage.close()


class _PlantedContract(StorageContract):
    async def plant(self, storage: Storage, key: Key) -> None:
        assert isinstance(storage, S3Storage)
        client = storage._client
        await client._client.put_object(Bucket=client._options.bucket, Key=client.prefix + key, Body=b"x")


class TestS3Storage(_PlantedContract):
    # SeaweedFS keeps a tree: no part of a key above 255 bytes, and a folder before what sorts before '/'.
    longest_key = "/".join(["x" * 204] * 5)
    ordered = ("a", "a/b", "a0", "b", "ba/c", "c/a", "c/b/a", "c/c", "é", "日")


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with browsing() as browser:
        yield browser


class TestPresigned(PresignContract):
    pass


class TestMultipart(MultipartContract):
    replaces_parts = False  # SeaweedFS keeps both, and tells their times in whole seconds


class TestPrefix(_PlantedContract):
    longest_key = TestS3Storage.longest_key[: -len("below/prefix/")]
    ordered = TestS3Storage.ordered

    @pytest.fixture
    async def storage(self, options: S3Options, seaweedfs: SeaweedFS) -> AsyncIterator[Storage]:
        others = ["below/prefixed", "outside"]
        for key in others:
            seaweedfs.client.put_object(Bucket=options.bucket, Key=key, Body=b"x")
        storage = await S3Storage.connect(replace(options, prefix="below/prefix"))
        yield storage
        await storage.close()
        outside = [key for key in seaweedfs.keys(options.bucket) if not key.startswith("below/prefix/")]
        assert outside == others

    async def test_key_too_long_with_its_prefix_is_absent(self, storage: Storage) -> None:
        with pytest.raises(NotFound):
            await storage.open(Key("x" * 1020), limit=1)


async def test_list_goes_on_behind_the_first_page(
    storage: S3Storage, seaweedfs: SeaweedFS, options: S3Options
) -> None:
    expected = [f"{number:04}" for number in range(1005)]
    for key in expected:
        seaweedfs.client.put_object(Bucket=options.bucket, Key=key, Body=b"")
    assert await keys(storage) == expected


class TestParts:
    async def test_parts_of_a_failed_put_are_thrown_away(
        self, storage: S3Storage, seaweedfs: SeaweedFS, options: S3Options
    ) -> None:
        with pytest.raises(ConnectionResetError):
            await storage.put(KEY, interrupted(bytes(PART_BYTES), bytes(PART_BYTES)))
        assert "Uploads" not in seaweedfs.client.list_multipart_uploads(Bucket=options.bucket)

    @pytest.mark.parametrize("size", [PART_BYTES - 1, PART_BYTES, PART_BYTES + 1])
    async def test_sizes_around_one_part(self, storage: S3Storage, size: int) -> None:
        data = os.urandom(size)
        head = await storage.put(KEY, chunked(data), content_type="image/png")
        assert (head.size, head.content_type) == (size, "image/png")
        assert await content(storage, KEY) == data


async def test_url_is_public_and_binds_prefix_type_and_length() -> None:
    options = S3Options(
        "bucket",
        "below",
        endpoint="http://inside:1",
        public_endpoint="https://cdn.example",
        path_style=True,
    )
    storage = await S3Storage.connect(options)
    url = await storage.presign("PUT", Key("a b+ä.png"), expires=90, content_length=5, content_type="a/b")
    await storage.close()
    assert url.startswith("https://cdn.example/bucket/below/a%20b%2B%C3%A4.png?X-Amz-Algorithm=AWS4-HMAC")
    assert "X-Amz-Expires=90&" in url
    assert "X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost&" in url


class TestCheck:
    async def test_bucket_that_is_not_there(self, seaweedfs: SeaweedFS) -> None:
        options = S3Options("no-such-bucket", endpoint=seaweedfs.endpoint, path_style=True)
        await assert_check_fails(options, "there is no bucket 'no-such-bucket' at http://127.0.0.1:")

    async def test_credentials_without_rights(
        self, options: S3Options, seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        take(seaweedfs.stranger, monkeypatch)
        await assert_check_fails(options, "refused our credentials for the bucket")

    async def test_credentials_nobody_knows(
        self, options: S3Options, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        take(Identity("nobody", "secret"), monkeypatch)
        await assert_check_fails(options, "refused our credentials for the bucket")

    async def test_no_credentials_at_all(self, options: S3Options, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in Identity("", "").environment:
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
        await assert_check_fails(options, "AWS_ACCESS_KEY_ID")


async def assert_check_fails(options: S3Options, expected: str) -> None:
    storage = await S3Storage.connect(options)
    with pytest.raises(StorageFailed) as caught:
        await storage.check()
    await storage.close()
    assert expected in str(caught.value)


class TestForbidden:
    async def test_object_that_may_not_be_read_is_a_failure_and_no_absence(
        self, options: S3Options, seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        take(seaweedfs.stranger, monkeypatch)
        storage = await S3Storage.connect(options)
        for call in (storage.head(KEY), storage.open(KEY, limit=1), content(storage, KEY)):
            with pytest.raises(StorageFailed, match=r"^the storage refused access$"):
                await call
        await storage.close()

    async def test_bucket_that_is_not_there_is_a_failure_and_no_absence(self, seaweedfs: SeaweedFS) -> None:
        storage = await S3Storage.connect(S3Options("missing", endpoint=seaweedfs.endpoint, path_style=True))
        with pytest.raises(StorageFailed):
            await storage.open(KEY, limit=1)
        await storage.close()
