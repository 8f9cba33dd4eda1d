"""Parts are numbered, bounded and listed to the end; what goes wrong is aborted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import pytest

from imgproxy.errors import StorageFailed
from imgproxy.image.source import Key
from imgproxy.storage import Part
from imgproxy.storage.s3 import multipart
from imgproxy.storage.s3.multipart import S3Multipart
from tests.storage.contract import KEY


class FakeDoor:
    """Answer as told, and note what was called."""

    prefix = "below/"

    def __init__(self, **answers: Any) -> None:
        self.calls: list[str] = []
        self._answers = {
            "create_multipart_upload": {"UploadId": "id"},
            "upload_part": {"ETag": '"e"'},
        } | answers

    async def call(
        self, operation: str, *, key: Key | None = None, repeat: bool = True, **parameters: object
    ) -> dict[str, Any]:
        self.calls.append(operation)
        answer = self._answers.get(operation, {})
        answer = answer.pop(0) if isinstance(answer, list) else answer
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)

    async def presign(self, operation: str, *, key: Key, expires: int, **parameters: object) -> str:
        return f"https://signed/{operation}"


async def following(*parts: bytes) -> AsyncIterator[BytesIO]:
    for part in parts:
        yield BytesIO(part)


async def test_blocks_become_parts_of_one_object() -> None:
    door = FakeDoor()
    await S3Multipart(door).store(KEY, BytesIO(b"first"), following(b"second", b"third"))
    assert door.calls == ["create_multipart_upload", *["upload_part"] * 3, "complete_multipart_upload"]


@pytest.mark.parametrize("failing", ["upload_part", "complete_multipart_upload"])
async def test_what_goes_wrong_is_aborted(failing: str) -> None:
    door = FakeDoor(**{failing: StorageFailed("first")}, abort_multipart_upload=StorageFailed("second"))
    with pytest.raises(StorageFailed, match="first"):
        await S3Multipart(door).store(KEY, BytesIO(b"first"), following())
    assert door.calls[-1] == "abort_multipart_upload"


async def test_parts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart, "MAX_PARTS", 2)
    door = FakeDoor()
    with pytest.raises(StorageFailed, match="larger than the storage takes"):
        await S3Multipart(door).store(KEY, BytesIO(b"1"), following(b"2", b"3"))
    assert door.calls.count("upload_part") == 2
    assert door.calls[-1] == "abort_multipart_upload"


async def test_parts_are_listed_to_the_end() -> None:
    def page(number: int, *, more: bool) -> dict[str, Any]:
        return {"Parts": [{"PartNumber": number, "ETag": "e", "Size": 5}], "IsTruncated": more}

    door = FakeDoor(list_parts=[page(1, more=True), page(2, more=False)])
    assert await S3Multipart(door).parts(KEY, "id") == [Part(1, "e", 5), Part(2, "e", 5)]


async def test_listing_that_goes_on_with_nothing_ends() -> None:
    door = FakeDoor(list_parts={"IsTruncated": True})
    assert await S3Multipart(door).parts(KEY, "id") == []
