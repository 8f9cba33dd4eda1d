"""PUT of an object or of one part: the body streams to storage and is stored atomically.

Type and length must match the signed ones, as in S3. Every body needs a `Content-Length`; one that is longer,
shorter, or too slow is not stored.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
from collections.abc import AsyncIterator
from typing import Protocol

from aiohttp import web

from imgproxy.errors import FileTooLarge
from imgproxy.http.problems import BAD_REQUEST, DENIED, NO_LENGTH, NO_MEDIA, TIMEOUT, TOO_LARGE, Refusal
from imgproxy.image.source import Key
from imgproxy.storage import Multipart, Part, Storage
from imgproxy.storage.signed_url import SignedUrl

MAX_BYTES = 5 * 1024**3  # of one PUT: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
SLOWEST = 1024
"""Minimum average rate of a body in bytes a second; slower ones would occupy a connection for days."""


class PartReceiver(Multipart, Protocol):
    """Uploads in parts whose bytes pass through this server."""

    async def receive(
        self,
        key: Key,
        upload: str,
        *,
        number: int,
        chunks: AsyncIterator[bytes],
        length: int,
        limit: int | None,
    ) -> Part:
        """Store one part; raise `FileTooLarge` if all parts together exceed `limit` bytes."""


class PutStorage(Storage, Protocol):
    """A storage whose objects pass through this server."""

    @property
    def multipart(self) -> PartReceiver: ...


async def put_object(storage: PutStorage, signed: SignedUrl, http: web.Request, *, patience: float) -> str:
    """Store the body of a PUT, and return its ETag; raise `Refusal`."""
    length = check(signed, http)
    chunks = _body(http, length, patience)
    if signed.upload is not None and signed.part is not None:
        try:
            part = await storage.multipart.receive(
                signed.key,
                signed.upload,
                number=signed.part,
                chunks=chunks,
                length=length,
                limit=signed.limit,
            )
        except FileTooLarge as error:
            raise Refusal(TOO_LARGE, str(error)) from None
        return part.etag
    head = await storage.put(signed.key, chunks, content_type=http.headers.get("Content-Type"))
    return f'"{head.version}"'


def check(signed: SignedUrl, http: web.Request) -> int:
    """Check a PUT's headers against its signed URL, before the body; return the body's length."""
    headers = http.headers
    if signed.content_type is not None and headers.get("Content-Type") != signed.content_type:
        raise Refusal(DENIED, f"the URL is for a PUT with Content-Type: {signed.content_type}")
    if headers.get("Content-Encoding", "identity") != "identity":
        raise Refusal(NO_MEDIA, "a body without Content-Encoding is expected")
    if http.content_length is None:
        raise Refusal(NO_LENGTH, "a body with Content-Length is expected")
    if signed.content_length not in (None, http.content_length):
        raise Refusal(DENIED, f"the URL is for a PUT of {signed.content_length} bytes")
    if signed.limit is not None and http.content_length > signed.limit:
        raise Refusal(TOO_LARGE, f"the URL is for at most {signed.limit} bytes, got {http.content_length}")
    if http.content_length > MAX_BYTES:
        raise Refusal(TOO_LARGE, f"one PUT has at most {MAX_BYTES} bytes: send more in parts")
    _digest(headers.get("Content-MD5"))
    return http.content_length


async def _body(http: web.Request, length: int, patience: float) -> AsyncIterator[bytes]:
    """Yield the body as it arrives; raise `Refusal` at the end of an incomplete one."""
    expected = _digest(http.headers.get("Content-MD5"))
    md5 = hashlib.md5(usedforsecurity=False)
    received = 0
    begun = asyncio.get_running_loop().time()
    while chunk := await _next(http, patience, begun + patience + received / SLOWEST):
        received += len(chunk)
        if received > length:
            raise Refusal(TOO_LARGE, f"the body has more than the {length} bytes it announced")
        if expected is not None:
            md5.update(chunk)  # 0.1 ms for what arrives at once
        yield chunk
    if received < length:
        raise Refusal(BAD_REQUEST, f"the body ended after {received} of {length} bytes")
    if expected is not None and not hmac.compare_digest(md5.digest(), expected):
        raise Refusal(BAD_REQUEST, "the body is not what its Content-MD5 says")


async def _next(http: web.Request, patience: float, end: float) -> bytes:
    left = end - asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(min(patience, left)):
            return await http.content.readany()
    except TimeoutError:
        raise Refusal(TIMEOUT, "the body came too slowly") from None
    except (OSError, web.RequestPayloadError) as error:
        raise Refusal(BAD_REQUEST, "the body broke off") from error


def _digest(header: str | None) -> bytes | None:
    """Parse `Content-MD5` (RFC 1864)."""
    if header is None:
        return None
    try:
        digest = base64.b64decode(header, validate=True)
    except (ValueError, binascii.Error):
        digest = b""
    if len(digest) != hashlib.md5(usedforsecurity=False).digest_size:
        raise Refusal(BAD_REQUEST, "a Content-MD5 of 16 bytes in base64 is expected")
    return digest
