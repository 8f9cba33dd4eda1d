"""Whatever an endpoint does, it ends, it is counted, and it comes out as one of our own errors."""

from __future__ import annotations

import inspect
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import botocore.exceptions
import botocore.model
import botocore.parsers
import pytest

from imgproxy.errors import ImgproxyError, NotFound, SourceTooLarge, StorageFailed, StorageSlow
from imgproxy.image.source import Key
from imgproxy.storage import Part
from imgproxy.storage.s3 import S3Options
from imgproxy.storage.s3.client import Retry, is_transient, translate, translated
from imgproxy.storage.s3.storage import S3Storage
from tests.storage.contract import KEY, chunked, content, keys
from tests.storage.s3.endpoint import (
    Answer,
    Endpoint,
    bad_chunks,
    endless,
    endless_chunked,
    hang_up,
    no_http,
    refusal,
    silence,
    stall,
    whole,
)

TRIES = 4
SLOW_DOWN = refusal(503, "SlowDown")
GOOD = whole(b"0123456789")
SHORT = whole(b"01234", length=10)


@pytest.fixture(autouse=True)
def _clients(quick_clients: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "access")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with Endpoint().running() as endpoint:
        yield endpoint


@pytest.fixture
def pauses() -> list[float]:
    """How long was slept between tries; nobody really sleeps."""
    return []


def hasty(pauses: list[float]) -> Retry:
    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    return Retry(tries=TRIES, base=1.0, cap=100.0, random=lambda: 1.0, sleep=sleep)


@pytest.fixture
async def storage(endpoint: Endpoint, pauses: list[float]) -> AsyncIterator[S3Storage]:
    storage = await S3Storage.connect(endpoint.options, retry=hasty(pauses))
    yield storage
    await storage.close()


async def opened(storage: S3Storage, *, limit: int = 1000) -> bytes:
    with await storage.open(KEY, limit=limit) as original:
        return os.read(original.descriptor, 10_000)


class TestTries:
    @pytest.mark.parametrize(
        "fault",
        [
            SLOW_DOWN,
            refusal(500, "InternalError"),
            refusal(502),
            refusal(504),
            refusal(429),
            refusal(400, "RequestTimeout"),
            whole(b"<html>no S3 here</html>", status="503 Busy"),
            silence,
        ],
    )
    async def test_what_may_pass_is_tried_again(
        self, storage: S3Storage, endpoint: Endpoint, pauses: list[float], fault: Answer
    ) -> None:
        endpoint.gives(fault, fault, fault, GOOD)
        assert await opened(storage) == b"0123456789"
        assert len(endpoint.requests) == TRIES
        assert pauses == [1.0, 2.0, 4.0]

    async def test_connection_closed_without_answer_is_tried_again(
        self, storage: S3Storage, endpoint: Endpoint, pauses: list[float]
    ) -> None:
        endpoint.gives(*[hang_up] * 6, GOOD)
        assert await opened(storage) == b"0123456789"
        assert len(endpoint.requests) == 7  # three tries that aiohttp makes six, and the one that succeeds
        assert pauses == [1.0, 2.0, 4.0]

    async def test_tries_end(self, storage: S3Storage, endpoint: Endpoint) -> None:
        endpoint.gives(SLOW_DOWN)
        with pytest.raises(StorageFailed):
            await opened(storage)
        assert len(endpoint.requests) == TRIES

    @pytest.mark.parametrize(
        ("fault", "expected"),
        [
            (refusal(403, "AccessDenied"), StorageFailed),
            (refusal(403, "InvalidAccessKeyId"), StorageFailed),
            (refusal(404, "NoSuchKey"), NotFound),
            (refusal(404, "NoSuchBucket"), StorageFailed),
            (refusal(400, "InvalidArgument"), StorageFailed),
            (refusal(501, "NotImplemented"), StorageFailed),
            (refusal(301, "PermanentRedirect"), StorageFailed),
            (refusal(302), StorageFailed),
            (whole(b"x", headers="Last-Modified: yesterday\r\n"), StorageFailed),
        ],
    )
    async def test_what_will_not_pass_is_not_tried_again(
        self, storage: S3Storage, endpoint: Endpoint, fault: Answer, expected: type[ImgproxyError]
    ) -> None:
        endpoint.gives(fault)
        with pytest.raises(expected) as caught:
            await opened(storage)
        assert len(endpoint.requests) == 1
        assert "secret-detail" not in str(caught.value)
        assert "127.0.0.1" not in str(caught.value)

    async def test_calls_that_repeated_do_something_else_are_made_once(
        self, storage: S3Storage, endpoint: Endpoint
    ) -> None:
        endpoint.gives(SLOW_DOWN)
        with pytest.raises(StorageFailed):
            await storage.multipart.begin(KEY)
        assert len(endpoint.requests) == 1
        endpoint.gives(SLOW_DOWN)
        with pytest.raises(StorageFailed):
            await storage.multipart.complete(KEY, "upload", [Part(1, "e", 1)])
        assert len(endpoint.requests) == 1

    async def test_all_other_calls_are_repeated(self, storage: S3Storage, endpoint: Endpoint) -> None:
        for call in (
            lambda: storage.head(KEY),
            lambda: storage.put(KEY, chunked(b"x")),
            lambda: storage.copy(KEY, Key("target")),
            lambda: storage.delete(KEY),
            lambda: content(storage, KEY),
            lambda: keys(storage),
            lambda: storage.check(),
            lambda: storage.multipart.abort(KEY, "upload"),
        ):
            endpoint.gives(SLOW_DOWN)
            with pytest.raises(StorageFailed):
                await call()
            assert len(endpoint.requests) == TRIES

    async def test_deadline_ends_tries(self, endpoint: Endpoint) -> None:
        endpoint.gives(SLOW_DOWN)
        storage = await S3Storage.connect(
            replace(endpoint.options, deadline=0.2), retry=Retry(base=1e6, cap=1e6, random=lambda: 1.0)
        )
        with pytest.raises(StorageSlow):
            await storage.head(KEY)
        await storage.close()

    async def test_deadline_ends_an_upload_that_is_never_bidden_to_go_on(self, endpoint: Endpoint) -> None:
        endpoint.gives(silence)  # botocore expects "100 Continue", and aiohttp waits for it without a timeout
        storage = await S3Storage.connect(replace(endpoint.options, deadline=0.2))
        with pytest.raises(StorageSlow):
            await storage.put(KEY, chunked(b"x"))
        await storage.close()

    async def test_nobody_listens(self, pauses: list[float]) -> None:
        async with Endpoint().running() as gone:
            pass
        storage = await S3Storage.connect(gone.options, retry=hasty(pauses))
        with pytest.raises(StorageFailed):
            await opened(storage)
        with pytest.raises(StorageFailed, match="cannot be reached"):
            await storage.check()
        await storage.close()
        assert len(pauses) == 2 * (TRIES - 1)


class TestDownload:
    async def test_short_body_is_fetched_once_more(self, storage: S3Storage, endpoint: Endpoint) -> None:
        endpoint.gives(SHORT, GOOD)
        assert await opened(storage) == b"0123456789"

    async def test_body_that_is_short_twice_is_a_failure(
        self, storage: S3Storage, endpoint: Endpoint
    ) -> None:
        endpoint.gives(SHORT)
        with pytest.raises(StorageFailed, match="announced length"):
            await opened(storage)
        assert len(endpoint.requests) == 2

    async def test_body_that_stalls_is_slow(self, storage: S3Storage, endpoint: Endpoint) -> None:
        endpoint.gives(stall)
        with pytest.raises(StorageSlow):
            await opened(storage)
        assert len(endpoint.requests) == 1

    async def test_deadline_ends_a_download(self, endpoint: Endpoint) -> None:
        endpoint.gives(stall)
        storage = await S3Storage.connect(replace(endpoint.options, idle_timeout=60, deadline=0.2))
        with pytest.raises(StorageSlow):
            await opened(storage)
        await storage.close()

    @pytest.mark.parametrize("fault", [endless, endless_chunked, whole(b"0", length=10**12)])
    async def test_too_much_stops_at_the_limit(
        self, storage: S3Storage, endpoint: Endpoint, fault: Answer
    ) -> None:
        endpoint.gives(fault)
        with pytest.raises(SourceTooLarge):
            await opened(storage, limit=1_000_000)
        assert len(endpoint.requests) == 1

    @pytest.mark.parametrize("fault", [SHORT, stall, endless, refusal(404, "NoSuchKey"), hang_up])
    async def test_failure_leaves_no_descriptor_open(
        self, storage: S3Storage, endpoint: Endpoint, fault: Answer
    ) -> None:
        endpoint.gives(fault)
        with pytest.raises(ImgproxyError):
            await opened(storage)
        assert not [name for name in _descriptors() if "memfd:original" in name]


def _descriptors() -> list[str]:
    """Return what the open descriptors of this process are."""
    return [os.path.realpath(descriptor) for descriptor in Path("/proc/self/fd").iterdir()]


class TestStream:
    @pytest.mark.parametrize(("fault", "expected"), [(SHORT, StorageFailed), (stall, StorageSlow)])
    async def test_stream_that_breaks_off_is_not_fetched_again(
        self, storage: S3Storage, endpoint: Endpoint, fault: Answer, expected: type[ImgproxyError]
    ) -> None:
        endpoint.gives(fault)
        with pytest.raises(expected):
            await content(storage, KEY)
        assert len(endpoint.requests) == 1

    async def test_server_that_knows_no_ranges_is_a_failure(
        self, storage: S3Storage, endpoint: Endpoint
    ) -> None:
        endpoint.gives(GOOD)
        with pytest.raises(StorageFailed, match="another range"):
            await content(storage, KEY, start=5)


class TestListing:
    @pytest.mark.parametrize("body", [b"<<<", b"no xml at all", b"<ListBucketResult><Contents>"])
    async def test_garbage_is_a_failure(self, storage: S3Storage, endpoint: Endpoint, body: bytes) -> None:
        endpoint.gives(whole(body))
        with pytest.raises(StorageFailed):
            await keys(storage)
        assert (
            len(endpoint.requests) == TRIES
        )  # botocore takes it for a fault of the server, and may be right

    async def test_order_is_the_servers(self, storage: S3Storage, endpoint: Endpoint) -> None:
        endpoint.gives(_page("b", "a"))
        assert await keys(storage) == ["b", "a"]

    async def test_listing_that_goes_round_in_circles_ends(
        self, storage: S3Storage, endpoint: Endpoint
    ) -> None:
        endpoint.gives(_page("a", "b", more=True))
        with pytest.raises(StorageFailed, match="come to an end"):
            await keys(storage)
        assert len(endpoint.requests) == 2

    async def test_listing_that_goes_on_with_nothing_ends(
        self, storage: S3Storage, endpoint: Endpoint
    ) -> None:
        endpoint.gives(_page(more=True))
        with pytest.raises(StorageFailed, match="come to an end"):
            await keys(storage)
        assert len(endpoint.requests) == 2

    async def test_signs_for_empty_folders_are_no_objects(
        self, storage: S3Storage, endpoint: Endpoint
    ) -> None:
        endpoint.gives(_page("folder/", "folder/a"))
        assert await keys(storage) == ["folder/a"]


def _page(*listed: str, more: bool = False) -> Answer:
    contents = "".join(f"<Contents><Key>{key}</Key><Size>1</Size></Contents>" for key in listed)
    token = "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>" if more else ""
    return whole(f"<ListBucketResult>{contents}{token}</ListBucketResult>".encode())


@pytest.mark.parametrize(
    "fault",
    [no_http, bad_chunks, hang_up, whole(b""), whole(b"<<<", status="500 Oops"), refusal(418), refusal(302)],
)
async def test_nothing_foreign_escapes_whatever_is_answered(
    storage: S3Storage, endpoint: Endpoint, fault: Answer
) -> None:
    for call in (
        lambda: storage.head(KEY),
        lambda: opened(storage),
        lambda: storage.put(KEY, chunked(b"x")),
        lambda: storage.copy(KEY, Key("target")),
        lambda: storage.delete(KEY),
        lambda: content(storage, KEY, start=1),
        lambda: keys(storage),
        lambda: storage.check(),
        lambda: storage.multipart.begin(KEY),
        lambda: storage.multipart.parts(KEY, "upload"),
    ):
        endpoint.gives(fault)
        try:
            await call()
        except ImgproxyError:
            continue


def _classes() -> list[type[Exception]]:
    """Every exception the libraries behind the door declare."""
    modules = (botocore.exceptions, botocore.parsers, botocore.model, aiohttp.client_exceptions)
    found = {
        thing
        for module in modules
        for thing in vars(module).values()
        if inspect.isclass(thing) and issubclass(thing, Exception) and not issubclass(thing, Warning)
    }
    return sorted(found | {OSError, TimeoutError, ValueError, KeyError}, key=lambda one: one.__name__)


def _bare(kind: type[Exception]) -> Exception:
    """Make an exception without the arguments its class asks for."""
    return kind.__new__(kind)


@pytest.mark.parametrize("kind", [kind for kind in _classes() if kind is not botocore.exceptions.ClientError])
def test_every_foreign_exception_is_translated(kind: type[Exception]) -> None:
    fault = _bare(kind)
    if isinstance(fault, botocore.exceptions.ClientError):
        fault.response = {}
    with pytest.raises((StorageFailed, StorageSlow)) as caught, translated():
        raise fault
    assert caught.value.__cause__ is fault
    assert is_transient(fault) in (True, False)


@pytest.mark.parametrize(
    ("fault", "passing", "expected"),
    [
        (botocore.exceptions.EndpointConnectionError(endpoint_url="u", error="e"), True, StorageFailed),
        (botocore.exceptions.ConnectTimeoutError(endpoint_url="u", error="e"), True, StorageSlow),
        (botocore.exceptions.ReadTimeoutError(endpoint_url="u", error="e"), True, StorageSlow),
        (botocore.exceptions.ConnectionClosedError(endpoint_url="u", error="e"), True, StorageFailed),
        (botocore.exceptions.SSLError(endpoint_url="u", error="e"), False, StorageFailed),
        (botocore.exceptions.NoCredentialsError(), False, StorageFailed),
        (botocore.exceptions.ParamValidationError(report="r"), False, StorageFailed),
        (aiohttp.ClientPayloadError(), True, StorageFailed),
        (aiohttp.ServerTimeoutError(), True, StorageSlow),
        (ConnectionResetError(), True, StorageFailed),
        (TimeoutError(), True, StorageSlow),
        (ValueError("Invalid timestamp"), False, StorageFailed),
    ],
)
def test_fault_is_one_that_passes_or_not(
    fault: Exception, passing: bool, expected: type[ImgproxyError]
) -> None:
    assert is_transient(fault) is passing
    assert isinstance(translate(fault), expected)


@pytest.mark.parametrize(
    ("code", "status", "passing", "expected"),
    [
        ("NoSuchKey", 404, False, NotFound),
        ("404", 404, False, NotFound),
        ("NoSuchUpload", 404, False, NotFound),
        ("NoSuchBucket", 404, False, StorageFailed),
        ("AccessDenied", 403, False, StorageFailed),
        ("403", 403, False, StorageFailed),
        ("SlowDown", 503, True, StorageFailed),
        ("InternalError", 200, True, StorageFailed),
        ("RequestTimeout", 400, True, StorageSlow),
        ("InvalidRange", 416, False, StorageFailed),
        ("", 0, False, StorageFailed),
    ],
)
def test_refusal_is_read_by_code_and_status(
    code: str, status: int, passing: bool, expected: type[ImgproxyError]
) -> None:
    answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    fault = botocore.exceptions.ClientError(answer, "GetObject")
    assert is_transient(fault) is passing
    assert isinstance(translate(fault), expected)


def test_our_own_errors_pass_the_door_as_they_are() -> None:
    error = SourceTooLarge("large")
    with pytest.raises(SourceTooLarge) as caught, translated():
        raise error
    assert caught.value is error


async def test_options_of_aws_itself_need_no_endpoint() -> None:
    storage = await S3Storage.connect(S3Options("bucket", region="eu-central-1"))
    url = await storage.presign("GET", KEY, expires=60)
    await storage.close()
    assert url.startswith("https://bucket.s3.eu-central-1.amazonaws.com/folder/picture.jpg?")
