"""Objects that travel to S3 in parts: ours when they are large, and those that browsers send by themselves.

An upload that is begun is completed or aborted. If we die in between its parts stay, unseen and paid
for: give the bucket a lifecycle rule that aborts uploads older than a day.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from io import BytesIO
from typing import Any, Protocol

from imgproxy.errors import ImgproxyError, NotFound, StorageFailed
from imgproxy.image.source import Key
from imgproxy.storage import MAX_PARTS, Part, UnfinishedUpload
from imgproxy.storage.assembly import in_order

_EPOCH = datetime.fromtimestamp(0, UTC)
PART_BYTES = 8 * 1024 * 1024


class S3Client(Protocol):
    """What is needed of `client`."""

    prefix: str

    async def call(
        self, operation: str, *, key: Key | None = None, repeat: bool = True, **parameters: object
    ) -> dict[str, Any]:
        """Call S3 and return its answer."""

    async def presign(self, operation: str, *, key: Key, expires: int, **parameters: object) -> str:
        """Return a URL that allows one call to whoever holds it."""


class S3Multipart:
    """Uploads in parts, each known by its key and the name S3 gave it."""

    def __init__(self, door: S3Client) -> None:
        self._door = door

    async def begin(self, key: Key, *, content_type: str | None = None) -> str:
        """Begin an upload and return its id.

        Not tried twice: if only the answer was lost, the first upload would stay for ever.
        """
        typed: dict[str, Any] = {"ContentType": content_type} if content_type else {}
        answer = await self._door.call("create_multipart_upload", key=key, repeat=False, **typed)
        return str(_said(answer, "UploadId"))

    async def presign(
        self,
        key: Key,
        upload: str,
        *,
        number: int,
        expires: int,
        limit: int | None = None,  # noqa: ARG002 - S3 signs the length of one part, not of all
    ) -> str:
        """Return a URL to which a client puts one part."""
        return await self._door.presign(
            "upload_part", key=key, expires=expires, UploadId=upload, PartNumber=number
        )

    async def send(self, key: Key, upload: str, *, number: int, block: BytesIO) -> Part:
        """Send one part."""
        size = len(block.getbuffer())
        answer = await self._door.call("upload_part", key=key, UploadId=upload, PartNumber=number, Body=block)
        return Part(number, str(_said(answer, "ETag")), size)

    async def parts(self, key: Key, upload: str) -> list[Part]:
        """List what has arrived, in order; `NotFound` if there is no such upload."""
        found: list[dict[str, Any]] = []
        while True:
            after = _said(found[-1], "PartNumber") if found else 0
            page = await self._door.call("list_parts", key=key, UploadId=upload, PartNumberMarker=after)
            news = page.get("Parts", ())
            found += news
            if not page.get("IsTruncated") or not news or len(found) > MAX_PARTS:
                return _last_of_each(found)

    async def complete(self, key: Key, upload: str, parts: Iterable[Part]) -> None:
        """Make the parts one object.

        Not tried twice: once it has succeeded there is no such upload any more.
        """
        listed = [{"PartNumber": part.number, "ETag": part.etag} for part in in_order(parts)]
        await self._door.call(
            "complete_multipart_upload",
            key=key,
            repeat=False,
            UploadId=upload,
            MultipartUpload={"Parts": listed},
        )

    async def abort(self, key: Key, upload: str) -> None:
        """Throw the parts away; an upload that is not there counts as aborted."""
        with suppress(NotFound):
            await self._door.call("abort_multipart_upload", key=key, UploadId=upload)

    async def list(self, prefix: str = "") -> AsyncIterator[UnfinishedUpload]:
        """Every unfinished upload to a key that begins with `prefix`."""
        after: tuple[str, str] = ("", "")
        while True:
            markers: dict[str, Any] = (
                {"KeyMarker": after[0], "UploadIdMarker": after[1]} if any(after) else {}
            )
            page = await self._door.call(
                "list_multipart_uploads", Prefix=self._door.prefix + prefix, **markers
            )
            for listed in page.get("Uploads", ()):
                yield _unfinished(listed, self._door.prefix)
            last, after = after, (page.get("NextKeyMarker", ""), page.get("NextUploadIdMarker", ""))
            if not page.get("IsTruncated"):
                return
            if after == last:
                raise StorageFailed("the storage does not come to an end of its list")

    async def store(
        self, key: Key, first: BytesIO, rest: AsyncIterator[BytesIO], *, content_type: str | None = None
    ) -> None:
        """Send blocks, one after the other, as one object; abort if anything goes wrong."""
        upload = await self.begin(key, content_type=content_type)
        try:
            parts = [await self.send(key, upload, number=1, block=first)]
            async for block in rest:
                if len(parts) == MAX_PARTS:
                    raise StorageFailed("the object is larger than the storage takes")
                parts.append(await self.send(key, upload, number=len(parts) + 1, block=block))
            await self.complete(key, upload, parts)
        except BaseException:
            with suppress(ImgproxyError):  # the first error tells more than that its cleaning up failed
                await self.abort(key, upload)
            raise


def _last_of_each(listed: Iterable[dict[str, Any]]) -> list[Part]:
    """Read a list of parts; SeaweedFS lists one that came twice twice, in any order."""
    by_age = sorted(listed, key=lambda one: one.get("LastModified", _EPOCH))
    latest = {part.number: part for part in map(_part, by_age)}
    return [latest[number] for number in sorted(latest)]


def _part(listed: dict[str, Any]) -> Part:
    return Part(_said(listed, "PartNumber"), _said(listed, "ETag"), _said(listed, "Size"))


def _unfinished(listed: dict[str, Any], prefix: str) -> UnfinishedUpload:
    begun = _said(listed, "Initiated").timestamp()
    return UnfinishedUpload(Key(_said(listed, "Key").removeprefix(prefix)), _said(listed, "UploadId"), begun)


def _said(answer: dict[str, Any], name: str) -> Any:
    """Return what an answer has to say; not every server that answers 200 speaks S3."""
    if name not in answer:
        raise StorageFailed("the storage gave an answer that is not one of S3")
    return answer[name]
