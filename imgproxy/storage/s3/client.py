"""The one door to aiobotocore: what goes wrong behind it is translated here, all of it.

Faults that can pass are met by trying again, here and not in botocore, so that how often and for how
long is known; everything a caller waits for has an end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, get_session
from botocore import exceptions as boto

from imgproxy.errors import ImgproxyError, NotFound, StorageFailed, StorageSlow
from imgproxy.image.source import MAX_KEY_BYTES, Key
from imgproxy.storage import BadParts
from imgproxy.storage.bucket import S3Options
from imgproxy.storage.hidden import require_visible
from imgproxy.storage.retry import Retry


class S3Client:
    """The client of one bucket: adds bucket and prefix, tries again, translates what goes wrong."""

    def __init__(
        self, options: S3Options, retry: Retry, *, client: Any, public: Any, clients: AsyncExitStack
    ) -> None:
        self.prefix = f"{options.prefix}/" if options.prefix else ""
        self.hidden = options.hidden
        self._options = options
        self._retry = retry
        self._client = client
        self._public = public
        self._clients = clients

    @classmethod
    async def build(cls, options: S3Options, retry: Retry) -> S3Client:
        """Make clients for ourselves and for signing what browsers will call; nothing is called yet."""
        session = get_session()
        outside = replace(options, endpoint=options.public_endpoint)
        async with AsyncExitStack() as clients:
            with translated():
                client = await clients.enter_async_context(_client(session, options))
                public = client
                if options.public_endpoint:
                    public = await clients.enter_async_context(_client(session, outside))
            return cls(options, retry, client=client, public=public, clients=clients.pop_all())

    async def call(
        self, operation: str, *, key: Key | None = None, repeat: bool = True, **parameters: object
    ) -> dict[str, Any]:
        """Call S3 until it answers, or until it is clear that it will not.

        Below us aiohttp sends a GET, HEAD, PUT or DELETE a second time, at once, when the connection was
        closed without an answer: a pooled one may have died unnoticed. So each of our tries is up to two.
        """
        named = self.place(key) if key is not None else {"Bucket": self._options.bucket}
        attempt = partial(getattr(self._client, operation), **named, **parameters)
        async with self.in_time():
            answer: dict[str, Any] = await (self._retry.run(attempt, passes=passes) if repeat else attempt())
            return answer

    async def presign(self, operation: str, *, key: Key, expires: int, **parameters: object) -> str:
        """Return a URL that allows one call to whoever holds it; signing asks nobody."""
        named = {**self.place(key), **parameters}
        with translated():
            return str(await self._public.generate_presigned_url(operation, Params=named, ExpiresIn=expires))

    async def check(self) -> None:
        """Ask for the bucket, and say in an operator's words what is wrong."""
        bucket, place = self._options.bucket, self._options.endpoint or "AWS S3"
        try:
            await self.call("head_bucket")
        except NotFound as error:
            raise StorageFailed(f"there is no bucket {bucket!r} at {place}") from error
        except Refused as error:
            raise StorageFailed(
                f"{place} refused our credentials for the bucket {bucket!r}: AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY are expected, with the right s3:ListBucket among others"
            ) from error
        except StorageSlow as error:
            raise StorageSlow(f"{place} did not answer in time") from error
        except StorageFailed as error:
            raise StorageFailed(
                f"{place} cannot be reached, does not speak S3, or keeps {bucket!r} in another region"
            ) from error

    def place(self, key: Key) -> dict[str, str]:
        """Say where a key lies, as S3 wants to be told; with its prefix a key may become one too many."""
        require_visible(key, self.hidden)
        full = self.prefix + key
        if len(full.encode(errors="replace")) > MAX_KEY_BYTES:
            raise NotFound("no such object")
        return {"Bucket": self._options.bucket, "Key": full}

    @asynccontextmanager
    async def in_time(self) -> AsyncIterator[None]:
        """Let what is done inside take no longer than one call may."""
        with translated():
            async with asyncio.timeout(self._options.deadline):
                yield

    async def close(self) -> None:
        """Give back connections."""
        await self._clients.aclose()


class BrokenOff(StorageFailed):
    """A download ended early."""

    def __init__(self) -> None:
        super().__init__("the object ended before its announced length")


class UnsatisfiableRange(StorageFailed):
    """The range asked for begins behind the object's end."""


class Invalid(StorageFailed):
    """The request cannot be met, and S3 says no more than that."""


class Refused(StorageFailed):
    """Our credentials do not open it."""


_BY_CODE: dict[str, type[ImgproxyError]] = {
    "NoSuchBucket": StorageFailed,  # a 404 that says nothing of the object
    "InvalidRange": UnsatisfiableRange,
    "InvalidPart": BadParts,
    "InvalidPartOrder": BadParts,
    "EntityTooSmall": BadParts,
    "InvalidRequest": Invalid,
    "RequestTimeout": StorageSlow,
}

# Without s3:ListBucket, S3 answers 403 for objects that do not exist. It is a failure all the same and
# not "no such object": a wrong 502 is noticed and mended by granting that right, while from a wrong 404
# on the day the credentials run out, every picture would be gone and stay so in caches.
_BY_STATUS: dict[int, type[ImgproxyError]] = {
    401: Refused,
    403: Refused,
    404: NotFound,
    408: StorageSlow,
    416: UnsatisfiableRange,
}

_MESSAGES: dict[type[ImgproxyError], str] = {
    NotFound: "no such object",
    StorageSlow: "the storage did not answer in time",
    Refused: "the storage refused access",
    BadParts: "the parts are not those received, not in order, or too small",
}

_PASSING_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
_PASSING_CODES = frozenset(
    {"SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "Throttling"}
)
_PASSING_FAULTS = (
    boto.ConnectionError,
    boto.ConnectionClosedError,
    boto.ReadTimeoutError,
    boto.ResponseStreamingError,
    boto.IncompleteReadError,
    aiohttp.ClientConnectionError,
    aiohttp.ClientPayloadError,
    OSError,
)
_NO_CREDENTIALS = (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError)


def passes(fault: Exception) -> bool:
    """Say whether the same call may well succeed a moment later."""
    if isinstance(fault, boto.ClientError):
        code, status = _verdict(fault)
        return code in _PASSING_CODES or status in _PASSING_STATUSES
    return isinstance(fault, _PASSING_FAULTS) and not isinstance(fault, boto.SSLError)


def translate(fault: Exception) -> ImgproxyError:
    """Put a foreign fault into our words; what it said goes to the log as its cause."""
    kind: type[ImgproxyError] = StorageFailed
    if isinstance(fault, boto.ClientError):
        code, status = _verdict(fault)
        kind = _BY_CODE.get(code) or _BY_STATUS.get(status, StorageFailed)
    elif isinstance(fault, TimeoutError | boto.ReadTimeoutError | boto.ConnectTimeoutError):
        kind = StorageSlow
    elif isinstance(fault, _NO_CREDENTIALS):
        kind = Refused
    return kind(_MESSAGES.get(kind, "the storage refused, or could not be reached"))


@contextmanager
def translated() -> Iterator[None]:
    """Let only our own errors out.

    All others are caught and not those of a list, for what a parser says of a stranger's answer is in
    no list: a date that is none is a plain ValueError.
    """
    try:
        yield
    except ImgproxyError:
        raise
    except Exception as fault:
        raise translate(fault) from fault


def _verdict(fault: boto.ClientError) -> tuple[str, int]:
    code = str(fault.response.get("Error", {}).get("Code", ""))
    return code, int(fault.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


@asynccontextmanager
async def _client(session: AioSession, options: S3Options) -> AsyncIterator[Any]:
    region = options.region or session.get_config_variable("region") or "us-east-1"
    over_tls = (options.endpoint or "https:").startswith("https:")
    config = AioConfig(
        signature_version="s3v4",
        connect_timeout=options.connect_timeout,
        read_timeout=options.idle_timeout,
        max_pool_connections=options.connections,
        retries={"total_max_attempts": 1},
        # Checksums that newer botocore adds unasked are refused by many servers that are not AWS.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={
            # Not "auto", with which URLs are signed for the host of us-east-1 whatever the region.
            "addressing_style": "path" if options.path_style else "virtual",
            "payload_signing_enabled": not over_tls,  # TLS vouches for the bytes; hashing them takes the loop
        },
    )
    async with session.create_client(
        "s3", region_name=region, endpoint_url=options.endpoint, config=config
    ) as client:
        client.meta.events.register("before-parameter-build.s3", _stay)
        yield client


def _stay(context: dict[str, Any], **_: object) -> None:
    """Ask the bucket where we were told it is, by telling botocore that it has been redirected already.

    It would look for the bucket's region by HeadBucket, and for a HeadBucket that is redirected in the
    same way, without end.
    """
    context["s3_redirect"]["redirected"] = True
