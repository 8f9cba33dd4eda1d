"""An address is read into one value, or refused in one line that says what is expected."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgproxy.storage import StorageOptions
from imgproxy.storage.local import LocalOptions, LocalStorage
from imgproxy.storage.memory import MemoryOptions, MemoryStorage
from imgproxy.storage.s3 import S3Options
from imgproxy.storage.s3.storage import S3Storage
from imgproxy.storage.storage_url import parse_storage_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("memory://", MemoryOptions()),
        ("file://./data/objects", LocalOptions(Path("data/objects"))),
        ("file:///var/lib/objects", LocalOptions(Path("/var/lib/objects"))),
        ("file://with space/ä?#%20", LocalOptions(Path("with space/ä?#%20"))),
        ("s3://bucket", S3Options("bucket")),
        ("s3://bucket/", S3Options("bucket")),
        ("s3://bucket/some/prefix/", S3Options("bucket", "some/prefix")),
        ("s3://my.bucket-1?", S3Options("my.bucket-1")),
        ("s3://bucket?region=&endpoint=&public_endpoint=&path_style=", S3Options("bucket")),
        ("s3://bucket?region=eu-central-1", S3Options("bucket", region="eu-central-1")),
        (
            "s3://bucket/p?endpoint=http://127.0.0.1:8333&public_endpoint=https://cdn.example&path_style=1",
            S3Options(
                "bucket",
                "p",
                endpoint="http://127.0.0.1:8333",
                public_endpoint="https://cdn.example",
                path_style=True,
            ),
        ),
        (
            "s3://bucket?endpoint=http%3A%2F%2F%5B::1%5D:9000&path_style=0",
            S3Options("bucket", endpoint="http://[::1]:9000"),
        ),
    ],
)
def test_address_is_read(url: str, expected: StorageOptions) -> None:
    assert parse_storage_url(url) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", "expected file://DIR, s3://BUCKET"),
        ("/var/lib/objects", "expected file://DIR"),
        ("file:/var", "expected file://DIR"),
        ("gs://bucket", "expected file://DIR"),
        ("memory://x", "memory://"),
        ("file://", "expected a folder"),
        ("file://a\0b", "expected a folder"),
        ("s3://", "expected the name of a bucket"),
        ("s3:///prefix", "expected the name of a bucket"),
        ("s3://key:secret@bucket", "credentials go into AWS_*"),
        ("s3://[bucket", "expected the name of a bucket"),
        ("s3://bucket/a//b", "expected a prefix that can begin a key"),
        ("s3://bucket/../other", "expected a prefix that can begin a key"),
        ("s3://bucket?colour=red", "expected only the parameters region, endpoint"),
        ("s3://bucket?region=a&region=b", "expected each parameter once"),
        ("s3://bucket?region=a/b", "expected region"),
        ("s3://bucket?path_style=yes", "expected path_style to be 0 or 1"),
        ("s3://bucket?endpoint=127.0.0.1:8333", "expected endpoint to be http://HOST"),
        ("s3://bucket?endpoint=ftp://host", "expected endpoint to be http://HOST"),
        ("s3://bucket?endpoint=http://host/path", "expected endpoint to be http://HOST"),
        ("s3://bucket?endpoint=http://user:secret@host", "expected endpoint to be http://HOST"),
        ("s3://bucket?public_endpoint=https://host?x=y", "expected public_endpoint to be http://HOST"),
    ],
)
def test_refusal_says_what_is_expected(url: str, expected: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        parse_storage_url(url)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


@given(st.text() | st.text().map("s3://bucket?".__add__) | st.text().map("s3://".__add__))
def test_any_text_is_read_or_refused(url: str) -> None:
    try:
        parse_storage_url(url)
    except ValueError as error:
        assert "expected" in str(error)  # noqa: PT017 - most texts are refused, and some are not


@pytest.mark.parametrize(
    ("url", "expected"),
    [("memory://", MemoryStorage), ("file://{}/objects", LocalStorage), ("s3://bucket", S3Storage)],
)
async def test_address_makes_its_storage(url: str, expected: type[object], tmp_path: Path) -> None:
    storage = await parse_storage_url(url.format(tmp_path)).connect()
    assert type(storage) is expected
    await storage.close()
