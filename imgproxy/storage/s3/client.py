"""The one door to aiobotocore: calls with retries and a deadline, and the translation of all its errors.

Retries happen here and not in botocore, so that their number and duration are known.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, get_session
from botocore import exceptions as boto

from imgproxy.errors import ImgproxyError, NotFound, StorageFailed, StorageSlow
from imgproxy.image.source import MAX_KEY_BYTES, Key
from imgproxy.storage import BadParts, require_visible
from imgproxy.storage.s3 import S3Options

_Response = TypeVar("_Response")


@dataclass(frozen=True, slots=True)
class Retry:
    """Bounded retries with full jitter, so that clients refused together do not return together.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    tries: int = 4
    """In all, the first included."""
    base: float = 0.1
    """Maximum seconds of the first pause; doubled for each later one."""
    cap: float = 2.0
    """Maximum seconds of any pause."""
    random: Callable[[], float] = random.random
    """From 0 to 1."""
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep

    async def run(
        self, call: Callable[[], Awaitable[_Response]], *, is_transient: Callable[[Exception], bool]
    ) -> _Response:
        """Return the response of `call`; raise its last error, or its first one that is not transient."""
        for failed in range(1, self.tries):
            try:
                return await call()
            except Exception as error:
                if not is_transient(error):
                    raise
            await self.sleep(min(self.cap, self.base * 2 ** (failed - 1)) * self.random())
        return await call()


class S3Client:
    """The client of one bucket: adds bucket and prefix, retries, translates errors."""

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
        """Create the client for calls, and the one that signs URLs for browsers, without I/O."""
        session = get_session()
        public_options = replace(options, endpoint=options.public_endpoint)
        async with AsyncExitStack() as clients:
            with translated():
                client = await clients.enter_async_context(_client(session, options))
                public = client
                if options.public_endpoint:
                    public = await clients.enter_async_context(_client(session, public_options))
            return cls(options, retry, client=client, public=public, clients=clients.pop_all())

    async def call(
        self, operation: str, *, key: Key | None = None, repeat: bool = True, **parameters: object
    ) -> dict[str, Any]:
        """Call S3, with retries unless `repeat` is false, within the deadline.

        aiohttp repeats a GET, HEAD, PUT or DELETE at once when a pooled connection was closed without a
        response. So each of these tries is up to two requests.
        """
        named = self.place(key) if key is not None else {"Bucket": self._options.bucket}
        attempt = partial(getattr(self._client, operation), **named, **parameters)
        async with self.in_time():
            response: dict[str, Any] = await (
                self._retry.run(attempt, is_transient=is_transient) if repeat else attempt()
            )
            return response

    async def presign(self, operation: str, *, key: Key, expires: int, **parameters: object) -> str:
        """Return a URL that allows its holder one call, without I/O."""
        named = {**self.place(key), **parameters}
        with translated():
            return str(await self._public.generate_presigned_url(operation, Params=named, ExpiresIn=expires))

    async def check(self) -> None:
        """Raise an error that tells an operator why the bucket cannot be reached."""
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
        """Return the params that name an object; with the prefix a key may become too long."""
        require_visible(key, self.hidden)
        full = self.prefix + key
        if len(full.encode(errors="replace")) > MAX_KEY_BYTES:
            raise NotFound("no such object")
        return {"Bucket": self._options.bucket, "Key": full}

    @asynccontextmanager
    async def in_time(self) -> AsyncIterator[None]:
        """Limit the block to the deadline of one call."""
        with translated():
            async with asyncio.timeout(self._options.deadline):
                yield

    async def close(self) -> None:
        await self._clients.aclose()


class BrokenOff(StorageFailed):
    """A download ended early."""

    def __init__(self) -> None:
        super().__init__("the object ended before its announced length")


class UnsatisfiableRange(StorageFailed):
    """The range begins behind the object's end."""


class Invalid(StorageFailed):
    """S3's `InvalidRequest`, which has no further reason."""


class Refused(StorageFailed):
    """The credentials do not allow the call."""


_BY_CODE: dict[str, type[ImgproxyError]] = {
    "NoSuchBucket": StorageFailed,  # a 404, but not of the object
    "InvalidRange": UnsatisfiableRange,
    "InvalidPart": BadParts,
    "InvalidPartOrder": BadParts,
    "EntityTooSmall": BadParts,
    "InvalidRequest": Invalid,
    "RequestTimeout": StorageSlow,
}

# Without s3:ListBucket, S3 answers 403 for objects that do not exist. It is a failure all the same and
# not "no such object": a wrong 502 is noticed and fixed by granting that right. With a wrong 404, every
# image would be gone on the day the credentials expire, and stay so in caches.
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

_TRANSIENT_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
_TRANSIENT_CODES = frozenset(
    {"SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "Throttling"}
)
_TRANSIENT_FAULTS = (
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


def is_transient(fault: Exception) -> bool:
    """Return whether the same call may succeed a moment later."""
    if isinstance(fault, boto.ClientError):
        code, status = _verdict(fault)
        return code in _TRANSIENT_CODES or status in _TRANSIENT_STATUSES
    return isinstance(fault, _TRANSIENT_FAULTS) and not isinstance(fault, boto.SSLError)


def translate(fault: Exception) -> ImgproxyError:
    """Translate an error of aiobotocore; its text reaches the log as the cause."""
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
    """Translate every foreign error.

    No list of types would do: a server's malformed date, for example, is a plain `ValueError`.
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
        # Checksums that newer botocore adds by default are refused by many servers that are not AWS.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={
            # Not "auto", with which URLs are signed for the host of us-east-1 whatever the region.
            "addressing_style": "path" if options.path_style else "virtual",
            "payload_signing_enabled": not over_tls,  # TLS protects the bytes; hashing them holds the loop
        },
    )
    async with session.create_client(
        "s3", region_name=region, endpoint_url=options.endpoint, config=config
    ) as client:
        client.meta.events.register("before-parameter-build.s3", _disable_redirects)
        yield client


def _disable_redirects(context: dict[str, Any], **_: object) -> None:
    """Disable botocore's redirects to another region by marking the call as redirected.

    It would look up the bucket's region by HeadBucket, and redirect that HeadBucket again, without end.
    """
    context["s3_redirect"]["redirected"] = True
