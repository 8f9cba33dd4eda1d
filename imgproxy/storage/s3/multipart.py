"""Uploads to S3 in parts: large objects of this server, and those that browsers send directly.

After a crash the parts of an upload stay, invisible and paid for: give the bucket a lifecycle rule that
aborts uploads older than a day.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from imgproxy.errors import ImgproxyError, NotFound, StorageFailed
from imgproxy.image.source import Key
from imgproxy.storage import MAX_PARTS, Part, UnfinishedUpload
from imgproxy.storage.part_rules import require_order
from imgproxy.storage.s3.client import S3Client

_EPOCH = datetime.fromtimestamp(0, UTC)
PART_BYTES = 8 * 1024 * 1024


class S3Multipart:
    """`storage.Multipart` of one bucket."""

    def __init__(self, client: S3Client) -> None:
        self._client = client

    async def begin(self, key: Key, *, content_type: str | None = None) -> str:
        """Begin an upload, without retries: if only the response was lost, the first would stay for ever."""
        typed: dict[str, Any] = {"ContentType": content_type} if content_type else {}
        response = await self._client.call("create_multipart_upload", key=key, repeat=False, **typed)
        return str(_field(response, "UploadId"))

    async def presign(
        self,
        key: Key,
        upload: str,
        *,
        number: int,
        expires: int,
        limit: int | None = None,  # noqa: ARG002 - S3 signs the length of one part, not of all
    ) -> str:
        return await self._client.presign(
            "upload_part", key=key, expires=expires, UploadId=upload, PartNumber=number
        )

    async def send(self, key: Key, upload: str, *, number: int, block: BytesIO) -> Part:
        """Send one part."""
        size = len(block.getbuffer())
        response = await self._client.call(
            "upload_part", key=key, UploadId=upload, PartNumber=number, Body=block
        )
        return Part(number, str(_field(response, "ETag")), size)

    async def parts(self, key: Key, upload: str) -> list[Part]:
        found: list[dict[str, Any]] = []
        while True:
            after = _field(found[-1], "PartNumber") if found else 0
            page = await self._client.call("list_parts", key=key, UploadId=upload, PartNumberMarker=after)
            news = page.get("Parts", ())
            found += news
            if not page.get("IsTruncated") or not news or len(found) > MAX_PARTS:
                return _last_of_each(found)

    async def complete(self, key: Key, upload: str, parts: Iterable[Part]) -> None:
        """Join the parts, without retries: after a success the upload does not exist."""
        listed = [{"PartNumber": part.number, "ETag": part.etag} for part in require_order(parts)]
        await self._client.call(
            "complete_multipart_upload",
            key=key,
            repeat=False,
            UploadId=upload,
            MultipartUpload={"Parts": listed},
        )

    async def abort(self, key: Key, upload: str) -> None:
        with suppress(NotFound):
            await self._client.call("abort_multipart_upload", key=key, UploadId=upload)

    async def list(self, prefix: str = "") -> AsyncIterator[UnfinishedUpload]:
        after: tuple[str, str] = ("", "")
        while True:
            markers: dict[str, Any] = (
                {"KeyMarker": after[0], "UploadIdMarker": after[1]} if any(after) else {}
            )
            page = await self._client.call(
                "list_multipart_uploads", Prefix=self._client.prefix + prefix, **markers
            )
            for listed in page.get("Uploads", ()):
                yield _unfinished(listed, self._client.prefix)
            last, after = after, (page.get("NextKeyMarker", ""), page.get("NextUploadIdMarker", ""))
            if not page.get("IsTruncated"):
                return
            if after == last:
                raise StorageFailed("the storage does not come to an end of its list")

    async def store(
        self, key: Key, first: BytesIO, rest: AsyncIterator[BytesIO], *, content_type: str | None = None
    ) -> None:
        """Send blocks in sequence as one object; abort after any error."""
        upload = await self.begin(key, content_type=content_type)
        try:
            parts = [await self.send(key, upload, number=1, block=first)]
            async for block in rest:
                if len(parts) == MAX_PARTS:
                    raise StorageFailed("the object is larger than the storage takes")
                parts.append(await self.send(key, upload, number=len(parts) + 1, block=block))
            await self.complete(key, upload, parts)
        except BaseException:
            with suppress(ImgproxyError):  # the first error is the cause
                await self.abort(key, upload)
            raise


def _last_of_each(listed: Iterable[dict[str, Any]]) -> list[Part]:
    """Return the latest part of each number; SeaweedFS lists a resent one twice, in any order."""
    by_age = sorted(listed, key=lambda one: one.get("LastModified", _EPOCH))
    latest = {part.number: part for part in map(_part, by_age)}
    return [latest[number] for number in sorted(latest)]


def _part(listed: dict[str, Any]) -> Part:
    return Part(_field(listed, "PartNumber"), _field(listed, "ETag"), _field(listed, "Size"))


def _unfinished(listed: dict[str, Any], prefix: str) -> UnfinishedUpload:
    begun = _field(listed, "Initiated").timestamp()
    return UnfinishedUpload(
        Key(_field(listed, "Key").removeprefix(prefix)), _field(listed, "UploadId"), begun
    )


def _field(response: dict[str, Any], name: str) -> Any:
    """Return a field of a response; not every server that responds with 200 speaks S3."""
    if name not in response:
        raise StorageFailed("the storage gave an answer that is not one of S3")
    return response[name]
