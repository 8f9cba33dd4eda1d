"""Uploads in the words of Uppy's Companion. tests/test_uppy.py has Uppy itself ask."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest

from imgproxy.storage import MIN_PART_BYTES
from tests.api import shell
from tests.api.conftest import Counter
from tests.files.uploading import JPEG, TTL

FIRST = JPEG.ljust(MIN_PART_BYTES, b".")


async def ask(counter: Counter, method: str, path: str, body: Any = None, **query: str) -> tuple[int, Any]:
    found = counter.client.request(method, f"/s3/{path}", json=body, params=query, headers=counter.headers)
    async with found as answer:
        return answer.status, await answer.json()


async def begun(counter: Counter, **metadata: str) -> dict[str, str]:
    given = {"filename": "cat.jpg", "type": "image/jpeg", "metadata": {"name": "cat.jpg", **metadata}}
    status, told = await ask(counter, "POST", "multipart", given)
    assert (status, sorted(told)) == (200, ["key", "uploadId"])
    return told  # type: ignore[no-any-return]


async def send(counter: Counter, upload: dict[str, str], number: int, body: bytes) -> dict[str, Any]:
    path = f"multipart/{upload['uploadId']}/{number}"
    status, told = await ask(counter, "GET", path, key=upload["key"])
    assert (status, told["expires"]) == (200, TTL)
    async with counter.client.session.put(told["url"], data=BytesIO(body)) as answer:
        assert answer.status == 200
        return {"PartNumber": number, "ETag": answer.headers["ETag"]}


async def test_a_file_is_sent_where_the_parameters_say(counter: Counter) -> None:
    query = {"filename": "cat.jpg", "type": "image/jpeg", "metadata[name]": "cat.jpg"}
    status, told = await ask(counter, "GET", "params", **query)
    key = told["fields"]["key"]
    assert status == 200
    assert {**told, "url": ""} == {
        "method": "PUT",
        "url": "",
        "fields": {"key": key},
        "headers": {"Content-Type": "image/jpeg"},
        "expires": TTL,
    }
    assert (await counter.put(told)).status == 200
    status, file = await counter.register(key)
    assert (status, file["key"], file["bucket"]) == (201, key, "images")


async def test_a_file_s_meta_fields_say_where_it_goes_and_who_sees_it(counter: Counter) -> None:
    meta = {"metadata[category]": "avatars", "metadata[visibility]": "private"}
    status, told = await ask(counter, "GET", "params", filename="me.jpg", type="image/jpeg", **meta)
    assert (status, (await counter.put(told)).status) == (200, 200)
    _, file = await counter.register(told["fields"]["key"])
    assert (file["bucket"], file["visibility"]) == ("avatars", "private")


async def test_parts_become_a_file(counter: Counter) -> None:
    upload = await begun(counter, category="attachments", visibility="protected")
    parts = [await send(counter, upload, 1, FIRST), await send(counter, upload, 2, b" end")]
    status, told = await ask(
        counter, "POST", f"multipart/{upload['uploadId']}/complete", {"parts": parts}, key=upload["key"]
    )
    location = str(counter.client.make_url(f"/{upload['key']}"))
    assert (status, told) == (200, {"location": location, "key": upload["key"]})
    status, file = await counter.register(upload["key"], size=len(FIRST) + 4)
    assert (status, file["bucket"], file["visibility"]) == (201, "attachments", "protected")


async def test_the_parts_that_have_arrived_are_listed_as_s3_would(counter: Counter) -> None:
    upload = await begun(counter)
    part = await send(counter, upload, 3, b"three")
    status, told = await ask(counter, "GET", f"multipart/{upload['uploadId']}", key=upload["key"])
    assert (status, told) == (200, [{"PartNumber": 3, "Size": 5, "ETag": part["ETag"]}])


async def test_what_is_given_up_is_not_found_any_more(counter: Counter) -> None:
    upload = await begun(counter)
    path = f"multipart/{upload['uploadId']}"
    assert await ask(counter, "DELETE", path, key=upload["key"]) == (200, {})
    status, told = await ask(counter, "GET", path, key=upload["key"])
    assert (status, told["error"]["code"]) == (404, "file/upload-not-found")


@pytest.mark.parametrize(
    ("part", "key", "status", "code"),
    [
        ("0", "images/x/cat.jpg", 400, "file/invalid-part-number-range"),
        ("10001", "images/x/cat.jpg", 400, "file/invalid-part-number-range"),
        ("one", "images/x/cat.jpg", 400, "file/invalid-part-number-range"),
        ("1", "", 400, "file/invalid-path"),
        ("1", "images/x/cat.jpg", 404, "file/upload-not-found"),
    ],
)
async def test_a_part_that_cannot_be_sent_is_told_by_its_code(
    counter: Counter, part: str, key: str, status: int, code: str
) -> None:
    upload = await begun(counter)
    found, told = await ask(counter, "GET", f"multipart/{upload['uploadId']}/{part}", key=key)
    assert (found, told["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "multipart/x/1", None),
        ("GET", "multipart/x", None),
        ("DELETE", "multipart/x", None),
        ("POST", "multipart/x/complete", {"parts": [{"PartNumber": 1, "ETag": "e"}]}),
    ],
)
async def test_an_upload_is_found_by_its_key_and_id_together(
    counter: Counter, method: str, path: str, body: Any
) -> None:
    upload = await begun(counter)
    named = path.replace("x", upload["uploadId"], 1)
    status, told = await ask(counter, method, named, body)
    assert (status, told["error"]["code"]) == (400, "common/invalid-request")
    status, told = await ask(counter, method, named, body, key="images/another/cat.jpg")
    assert (status, told["error"]["code"]) == (404, "file/upload-not-found")


async def test_as_many_parts_as_there_may_be_can_be_named(counter: Counter) -> None:
    upload = await begun(counter)
    parts = [{"PartNumber": number, "ETag": f'"{"0" * 64}"'} for number in range(1, 10_001)]
    path = f"multipart/{upload['uploadId']}/complete"
    status, told = await ask(counter, "POST", path, {"parts": parts}, key=upload["key"])
    assert (status, told["error"]["code"]) == (400, "file/invalid-parts-array")  # none of them has arrived


async def test_what_a_collection_does_not_take_is_refused(counter: Counter) -> None:
    query = {"filename": "cat.html", "type": "text/html", "metadata[category]": "images"}
    status, told = await ask(counter, "GET", "params", **query)
    assert (status, told["error"]["code"]) == (400, "file/invalid-format")
    assert "images takes" in told["message"]  # what Uppy shows


async def test_a_page_s_key_alone_uploads_nothing(counter: Counter) -> None:
    counter.headers = shell.ANYBODY
    status, told = await ask(counter, "GET", "params", filename="cat.jpg", type="image/jpeg")
    assert (status, told["error"]["code"]) == (401, "common/authentication-required")


async def test_a_page_of_another_origin_may_ask(counter: Counter) -> None:
    asked = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization,x-api-key",
    }
    async with counter.client.options("/s3/params", headers=asked) as answer:
        allowed = answer.headers["Access-Control-Allow-Headers"].lower()
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (204, "*")
    assert {"authorization", "x-api-key"} <= set(allowed.split(", "))
