"""The storage of a bucket, or of a prefix in it.

Downloads go into memory and are counted as they arrive; objects larger than one part are sent in parts.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing
from dataclasses import replace
from io import BytesIO
from typing import Any, Literal

from imgproxy.errors import NotFound, StorageFailed
from imgproxy.image.source import Key
from imgproxy.storage import Head, OpenObject, is_hidden
from imgproxy.storage.buffers import Memfd, blocks, require_at_most
from imgproxy.storage.s3 import S3Options
from imgproxy.storage.s3.client import BrokenOff, Invalid, Retry, S3Client, UnsatisfiableRange, translated
from imgproxy.storage.s3.multipart import PART_BYTES, S3Multipart

_CHUNK = 256 * 1024
_VERSION = re.compile(r"[!#-~]+")  # an ETag between its quotes (RFC 9110 §8.8.3)
_RETRY = Retry()


class S3Storage:
    """A flat space of keys in a bucket."""

    def __init__(self, client: S3Client) -> None:
        self.multipart = S3Multipart(client)
        self._client = client

    @classmethod
    async def connect(cls, options: S3Options, *, retry: Retry = _RETRY) -> S3Storage:
        """Create the storage without I/O."""
        return cls(await S3Client.build(options, retry))

    async def head(self, key: Key) -> Head:
        return _describe(await self._client.call("head_object", key=key))

    async def open(self, key: Key, *, limit: int) -> OpenObject:
        """Download an object into memory."""
        async with self._client.in_time():
            try:
                return await self._download(key, limit)
            except BrokenOff:
                return await self._download(key, limit)  # once more, and from the beginning

    async def read(self, key: Key, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Stream bytes `start` to `end`, without retries after the first byte.

        Only pauses of the server are limited, not the whole: the consumer sets the pace.
        """
        if end is not None and end <= start:
            await self.head(key)
            return
        span: dict[str, Any] = (
            {"Range": f"bytes={start}-{'' if end is None else end - 1}"} if start or end else {}
        )
        try:
            response = await self._client.call("get_object", key=key, **span)
        except UnsatisfiableRange:
            return
        with closing(response["Body"]) as body:
            if span and "ContentRange" not in response:
                raise StorageFailed("the storage sent another range than it was asked for")
            while chunk := await _next(body):
                yield chunk

    async def put(self, key: Key, chunks: AsyncIterator[bytes], *, content_type: str | None = None) -> Head:
        async with aclosing(blocks(chunks, size=PART_BYTES)) as parts:
            first = await anext(parts, BytesIO())
            if len(first.getbuffer()) == PART_BYTES:
                await self.multipart.store(key, first, parts, content_type=content_type)
            else:
                typed: dict[str, Any] = {"ContentType": content_type} if content_type else {}
                await self._client.call("put_object", key=key, Body=first, **typed)
        return await self.head(key)

    async def copy(self, source: Key, target: Key) -> Head:
        """Copy an object of at most 5 GiB within S3."""
        try:
            await self._client.call("copy_object", key=target, CopySource=self._client.place(source))
        except Invalid as error:  # the only reason that AWS gives
            raise StorageFailed("the object cannot be copied: is it larger than 5 GiB?") from error
        return await self.head(target)

    async def delete(self, key: Key) -> None:
        """Remove an object; S3 does not report whether it existed."""
        try:
            await self._client.call("delete_object", key=key)
        except NotFound:  # some servers do
            return

    async def list(self, prefix: str = "") -> AsyncIterator[tuple[Key, Head]]:
        """Yield every object whose key has this prefix, in the server's order.

        S3 lists in order of key; directory buckets of AWS do not, nor do servers that keep folders:
        SeaweedFS has `a/b` before `a-b`.
        """
        token, seen = "", {""}
        while True:
            further: dict[str, Any] = {"ContinuationToken": token} if token else {}
            page = await self._client.call("list_objects_v2", Prefix=self._client.prefix + prefix, **further)
            for key, head in _listed(page, self._client.prefix):
                if not is_hidden(key, self._client.hidden):
                    yield key, head
            if not page.get("IsTruncated"):
                return
            token = str(page.get("NextContinuationToken", ""))
            if token in seen:
                raise StorageFailed("the storage does not come to an end of its list")
            seen.add(token)

    async def presign(
        self,
        method: Literal["GET", "PUT"],
        key: Key,
        *,
        expires: int,
        content_type: str | None = None,
        content_length: int | None = None,
        limit: int | None = None,  # noqa: ARG002 - only a POST policy has `content-length-range`
        disposition: str | None = None,
    ) -> str:
        params: dict[str, dict[str, str | int | None]] = {
            "GET": {"ResponseContentType": content_type, "ResponseContentDisposition": disposition},
            "PUT": {"ContentType": content_type, "ContentLength": content_length},
        }
        bound: dict[str, Any] = {name: value for name, value in params[method].items() if value is not None}
        operation = {"GET": "get_object", "PUT": "put_object"}[method]
        return await self._client.presign(operation, key=key, expires=expires, **bound)

    async def check(self) -> None:
        await self._client.check()

    async def close(self) -> None:
        await self._client.close()

    async def _download(self, key: Key, limit: int) -> OpenObject:
        response = await self._client.call("get_object", key=key)
        with closing(response["Body"]) as body, closing(Memfd(limit=limit)) as memfd:
            head = _describe(response)
            require_at_most(limit, head.size)
            while chunk := await _next(body):  # small writes into memory: not worth a thread
                memfd.write(chunk)
            if "ContentLength" in response and memfd.size != head.size:
                raise BrokenOff
            return memfd.finish(replace(head, size=memfd.size))


async def _next(body: Any) -> bytes:
    """Return the next received bytes of a body; none at its end."""
    with translated():
        try:
            return bytes(await body.read(_CHUNK))
        except TimeoutError:
            raise
        except Exception as fault:
            raise BrokenOff from fault


def _describe(response: dict[str, Any]) -> Head:
    """Return an object's metadata in a response or an entry of a listing."""
    size = int(response.get("ContentLength", response.get("Size", 0)))
    modified = response["LastModified"].timestamp() if "LastModified" in response else 0.0
    etag = str(response.get("ETag", "")).removeprefix("W/").strip('"')
    version = etag if _VERSION.fullmatch(etag) else f"{modified:.0f}-{size}"
    return Head(size, version, modified, response.get("ContentType"))


def _listed(page: dict[str, Any], prefix: str) -> Iterator[tuple[Key, Head]]:
    """Yield the objects on one page of a listing."""
    for entry in page.get("Contents", ()):
        key = str(entry.get("Key", "")).removeprefix(prefix)
        if not key.endswith("/"):  # consoles mark an empty folder so
            yield Key(key), _describe(entry)
