"""Our presigned URLs are those of boto3, byte for byte, for the same inputs at the same instant."""

from __future__ import annotations

import datetime
from functools import cache
from typing import Any

import boto3
import botocore.auth
import botocore.session
import pytest
from botocore.config import Config
from botocore.loaders import Loader

from imgproxy.image.source import Key
from imgproxy.storage.s3 import S3Options
from imgproxy.storage.s3.storage import S3Storage

pytestmark = pytest.mark.usefixtures("quick_clients")

NOW = datetime.datetime(2026, 1, 31, 12, 0, 0)
KEYS = [
    "staging/acme/0199b6c4-5a51-7c3e-9f0e-2b8f6f1d7a10",
    "größe/日本語/🐈.png",
    "a b+c=d&e;f,g'(h)!~*$@[i]{j}^k|l`m.jpg",
    "question?mark#hash%41.jpg",
    "dots/a.../trailing.",
]
PLACES = {
    "aws": S3Options("bucket.of-ours", region="eu-central-1"),
    "aws path": S3Options("bucket", region="us-west-2", path_style=True),
    "aws us-east-1": S3Options("bucket"),
    "server": S3Options("bucket", endpoint="http://127.0.0.1:8333", path_style=True),
    "public": S3Options(
        "bucket", endpoint="http://inside:1", public_endpoint="https://s3.example:8443", path_style=True
    ),
    "virtual": S3Options("bucket", endpoint="https://s3.example", region="auto"),
}
TYPED = {"ContentType": "image/svg+xml; charset=utf-8", "ContentLength": 123_456}
SHOWN = {
    "ResponseContentType": "text/plain; charset=utf-8",
    "ResponseContentDisposition": "attachment; filename=\"a b.txt\"; filename*=UTF-8''%C3%A4%20b.txt",
}


@pytest.fixture(autouse=True, params=["", "session/token+with=signs"])
def _credentials(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    if request.param:
        monkeypatch.setenv("AWS_SESSION_TOKEN", request.param)


@pytest.fixture(autouse=True)
def _instant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let both sign at the same instant."""

    def now(**_: object) -> datetime.datetime:
        return NOW

    monkeypatch.setattr(botocore.auth, "get_current_datetime", now)


@cache
def _loader() -> Loader:
    """Read the description of S3 once: it takes most of the time."""
    return Loader()


def theirs(options: S3Options, operation: str, key: str, **parameters: Any) -> str:
    """Presign as boto3 does when told no more than it must be."""
    style = "path" if options.path_style else "virtual"
    session = botocore.session.Session()
    session.register_component("data_loader", _loader())
    client = boto3.Session(botocore_session=session).client(
        "s3",
        region_name=options.region or "us-east-1",
        endpoint_url=options.public_endpoint or options.endpoint,
        config=Config(signature_version="s3v4", s3={"addressing_style": style}),
    )
    named = {"Bucket": options.bucket, "Key": key, **parameters}
    url = client.generate_presigned_url(operation, Params=named, ExpiresIn=900)
    client.close()
    return str(url)


@pytest.mark.parametrize("place", PLACES)
async def test_urls_are_those_of_boto3_wherever_the_bucket_is(place: str) -> None:
    options = PLACES[place]
    storage = await S3Storage.connect(options)
    key = Key(KEYS[1])
    ours = [
        await storage.presign(
            "PUT", key, expires=900, content_type=TYPED["ContentType"], content_length=123_456
        ),
        await storage.presign("GET", key, expires=900),
        await storage.multipart.presign(key, "upload/id+1", number=10_000, expires=900),
    ]
    await storage.close()
    assert ours == [
        theirs(options, "put_object", key, **TYPED),
        theirs(options, "get_object", key),
        theirs(options, "upload_part", key, UploadId="upload/id+1", PartNumber=10_000),
    ]


@pytest.mark.parametrize("key", KEYS)
async def test_urls_are_those_of_boto3_whatever_the_key(key: str) -> None:
    options = PLACES["aws"]
    storage = await S3Storage.connect(options)
    kind, disposition = SHOWN.values()
    ours = [
        await storage.presign("PUT", Key(key), expires=900),
        await storage.presign("GET", Key(key), expires=900, content_type=kind, disposition=disposition),
    ]
    await storage.close()
    assert ours == [theirs(options, "put_object", key), theirs(options, "get_object", key, **SHOWN)]


async def test_the_prefix_is_a_part_of_the_key() -> None:
    options = S3Options("bucket", "below/größe")
    storage = await S3Storage.connect(options)
    ours = await storage.presign("GET", Key("a"), expires=900)
    await storage.close()
    assert ours == theirs(options, "get_object", "below/größe/a")
