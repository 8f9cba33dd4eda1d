"""Uploads in parts over HTTP."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest

from imgproxy.storage import MIN_PART_BYTES
from tests.api.conftest import Counter
from tests.files.uploading import JPEG

ROOT = "/v1/files/multipart"
FIRST = JPEG.ljust(MIN_PART_BYTES, b".")


async def begun(counter: Counter) -> dict[str, Any]:
    status, told = await counter.post(f"{ROOT}/init", {"filename": "cat.jpg", "contentType": "image/jpeg"})
    assert status == 200
    assert told.pop("filename") == "cat.jpg"
    return told


async def send(counter: Counter, upload: dict[str, Any], number: int, body: bytes) -> dict[str, Any]:
    """Ask for a part's URL, and put it there."""
    status, told = await counter.post(f"{ROOT}/presigned-url", {**upload, "partNumber": number})
    assert (status, told["partNumber"]) == (200, number)
    async with counter.client.session.put(told["url"], data=BytesIO(body)) as answer:
        assert answer.status == 200
        return {"partNumber": number, "etag": answer.headers["ETag"]}


async def listed(counter: Counter, upload: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    async with counter.client.get(f"{ROOT}/parts", params=upload, headers=counter.headers) as answer:
        return answer.status, await answer.json()


async def test_parts_become_a_file(counter: Counter) -> None:
    upload = await begun(counter)
    parts = [await send(counter, upload, 1, FIRST), await send(counter, upload, 2, b" end")]
    status, told = await counter.post(f"{ROOT}/complete", {**upload, "parts": parts})
    assert (status, told) == (
        200,
        {"key": upload["key"], "location": str(counter.client.make_url(f"/{upload['key']}"))},
    )
    status, file = await counter.register(upload["key"], size=len(FIRST) + 4)
    assert (status, file["size"]) == (201, len(FIRST) + 4)


async def test_the_parts_that_have_arrived_are_listed(counter: Counter) -> None:
    upload = await begun(counter)
    part = await send(counter, upload, 3, b"three")
    status, told = await listed(counter, upload)
    assert (status, told) == (200, {"parts": [{"partNumber": 3, "size": 5, "etag": part["etag"]}]})


async def test_s3_s_own_names_of_a_part_are_understood(counter: Counter) -> None:
    upload = await begun(counter)
    part = await send(counter, upload, 1, JPEG)
    parts = [{"PartNumber": 1, "ETag": part["etag"].strip('"')}]
    status, _ = await counter.post(f"{ROOT}/complete", {**upload, "parts": parts})
    assert status == 200


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [{"partNumber": 1, "etag": '"other"'}],
        [{"partNumber": 2, "etag": '"a"'}, {"partNumber": 1, "etag": '"b"'}],
    ],
)
async def test_parts_that_make_no_file_are_told_by_their_code(
    counter: Counter, parts: list[dict[str, Any]]
) -> None:
    upload = await begun(counter)
    await send(counter, upload, 1, JPEG)
    status, told = await counter.post(f"{ROOT}/complete", {**upload, "parts": parts})
    assert (status, told["error"]["code"]) == (400, "file/invalid-parts-array")


async def test_as_many_parts_as_there_may_be_can_be_named(counter: Counter) -> None:
    upload = await begun(counter)
    parts = [{"partNumber": number, "etag": f'"{"0" * 64}"'} for number in range(1, 10_001)]
    status, told = await counter.post(f"{ROOT}/complete", {**upload, "parts": parts})
    assert (status, told["error"]["code"]) == (400, "file/invalid-parts-array")  # none of them has arrived


@pytest.mark.parametrize("number", [0, 10_001])
async def test_a_number_that_no_part_has_is_told_by_its_code(counter: Counter, number: int) -> None:
    upload = await begun(counter)
    status, told = await counter.post(f"{ROOT}/presigned-url", {**upload, "partNumber": number})
    assert (status, told["error"]["code"]) == (400, "file/invalid-part-number-range")


async def test_what_is_given_up_is_not_found_any_more(counter: Counter) -> None:
    upload = await begun(counter)
    for _ in range(2):
        status, told = await counter.post(f"{ROOT}/abort", upload)
        assert (status, told) == (200, {"success": True, "key": upload["key"]})
    status, told = await listed(counter, upload)
    assert (status, told["error"]["code"]) == (404, "file/upload-not-found")
