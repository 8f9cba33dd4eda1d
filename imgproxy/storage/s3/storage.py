"""A bucket, or what lies under a prefix in it, as a storage.

Downloads go into memory, counted while they come; uploads above one part go in parts.
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
from imgproxy.storage import Head, OpenObject
from imgproxy.storage.blocks import blocks
from imgproxy.storage.bucket import S3Options
from imgproxy.storage.hidden import is_hidden
from imgproxy.storage.memfd import Memfd, refuse_above
from imgproxy.storage.retry import Retry
from imgproxy.storage.s3.client import BrokenOff, Invalid, S3Client, UnsatisfiableRange, translated
from imgproxy.storage.s3.multipart import PART_BYTES, S3Multipart

_CHUNK = 256 * 1024
_VERSION = re.compile(r"[!#-~]+")  # what may stand between the quotes of an ETag (RFC 9110 8.8.3)
_RETRY = Retry()


class S3Storage:
    """A flat space of keys: a bucket, or what lies under a prefix in it."""

    def __init__(self, door: S3Client) -> None:
        self.multipart = S3Multipart(door)
        self._door = door

    @classmethod
    async def connect(cls, options: S3Options, *, retry: Retry = _RETRY) -> S3Storage:
        """Make ready to call; nothing is called yet, `check` does that."""
        return cls(await S3Client.build(options, retry))

    async def head(self, key: Key) -> Head:
        """Describe an object."""
        return _describe(await self._door.call("head_object", key=key))

    async def open(self, key: Key, *, limit: int) -> OpenObject:
        """Download an object into memory."""
        async with self._door.in_time():
            try:
                return await self._download(key, limit)
            except BrokenOff:
                return await self._download(key, limit)  # once more, and from the beginning

    async def read(self, key: Key, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Stream bytes `start` to `end`; not tried again once the first has left.

        There is no deadline but the pauses of storage: how fast the bytes go is up to who takes them.
        """
        if end is not None and end <= start:
            await self.head(key)
            return
        span: dict[str, Any] = (
            {"Range": f"bytes={start}-{'' if end is None else end - 1}"} if start or end else {}
        )
        try:
            answer = await self._door.call("get_object", key=key, **span)
        except UnsatisfiableRange:
            return
        with closing(answer["Body"]) as body:
            if span and "ContentRange" not in answer:
                raise StorageFailed("the storage sent another range than it was asked for")
            while chunk := await _next(body):
                yield chunk

    async def put(self, key: Key, chunks: AsyncIterator[bytes], *, content_type: str | None = None) -> Head:
        """Store an object, in parts if it is large."""
        async with aclosing(blocks(chunks, size=PART_BYTES)) as parts:
            first = await anext(parts, BytesIO())
            if len(first.getbuffer()) == PART_BYTES:
                await self.multipart.store(key, first, parts, content_type=content_type)
            else:
                typed: dict[str, Any] = {"ContentType": content_type} if content_type else {}
                await self._door.call("put_object", key=key, Body=first, **typed)
        return await self.head(key)

    async def copy(self, source: Key, target: Key) -> Head:
        """Copy an object of at most 5 GiB within S3."""
        try:
            await self._door.call("copy_object", key=target, CopySource=self._door.place(source))
        except Invalid as error:  # all that AWS says of larger ones
            raise StorageFailed("the object cannot be copied: is it larger than 5 GiB?") from error
        return await self.head(target)

    async def delete(self, key: Key) -> None:
        """Remove an object; S3 does not say whether it was there."""
        try:
            await self._door.call("delete_object", key=key)
        except NotFound:  # some servers do say
            return

    async def list(self, prefix: str = "") -> AsyncIterator[tuple[Key, Head]]:
        """Every object whose key begins with `prefix`, in the server's order.

        S3 lists in order of key; directory buckets of AWS do not, nor do servers that keep folders:
        SeaweedFS has `a/b` before `a-b`.
        """
        token, seen = "", {""}
        while True:
            further: dict[str, Any] = {"ContinuationToken": token} if token else {}
            page = await self._door.call("list_objects_v2", Prefix=self._door.prefix + prefix, **further)
            for key, head in _listed(page, self._door.prefix):
                if not is_hidden(key, self._door.hidden):
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
        """Return a public URL that allows one GET or PUT for `expires` seconds (at most 7 days).

        A PUT must then carry exactly this type and length; a GET is answered with this type and
        `Content-Disposition`.
        """
        wanted: dict[str, dict[str, str | int | None]] = {
            "GET": {"ResponseContentType": content_type, "ResponseContentDisposition": disposition},
            "PUT": {"ContentType": content_type, "ContentLength": content_length},
        }
        bound: dict[str, Any] = {name: value for name, value in wanted[method].items() if value is not None}
        operation = {"GET": "get_object", "PUT": "put_object"}[method]
        return await self._door.presign(operation, key=key, expires=expires, **bound)

    async def check(self) -> None:
        """Return if the bucket can be reached with our credentials."""
        await self._door.check()

    async def close(self) -> None:
        """Give back connections."""
        await self._door.close()

    async def _download(self, key: Key, limit: int) -> OpenObject:
        answer = await self._door.call("get_object", key=key)
        with closing(answer["Body"]) as body, closing(Memfd(limit=limit)) as memfd:
            head = _describe(answer)
            refuse_above(limit, head.size)
            while chunk := await _next(body):  # into memory, in small pieces: not worth a thread
                memfd.write(chunk)
            if "ContentLength" in answer and memfd.size != head.size:
                raise BrokenOff
            return memfd.finish(replace(head, size=memfd.size))


async def _next(body: Any) -> bytes:
    """Read what has arrived of a body; nothing is its end."""
    with translated():
        try:
            return bytes(await body.read(_CHUNK))
        except TimeoutError:
            raise
        except Exception as fault:
            raise BrokenOff from fault


def _describe(answer: dict[str, Any]) -> Head:
    """Read what S3 says of an object, in an answer or in a line of a listing."""
    size = int(answer.get("ContentLength", answer.get("Size", 0)))
    modified = answer["LastModified"].timestamp() if "LastModified" in answer else 0.0
    etag = str(answer.get("ETag", "")).removeprefix("W/").strip('"')
    version = etag if _VERSION.fullmatch(etag) else f"{modified:.0f}-{size}"
    return Head(size, version, modified, answer.get("ContentType"))


def _listed(page: dict[str, Any], prefix: str) -> Iterator[tuple[Key, Head]]:
    """Read one page of a listing."""
    for entry in page.get("Contents", ()):
        key = str(entry.get("Key", "")).removeprefix(prefix)
        if not key.endswith("/"):  # what consoles make to show an empty folder
            yield Key(key), _describe(entry)
