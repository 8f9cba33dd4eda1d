"""Bringing files in over HTTP: a URL, a PUT, a registration."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from imgproxy.image.source import Key
from tests.api import shell
from tests.api.conftest import FILES, PRESIGN, Counter
from tests.files.uploading import JPEG, NOW, OTHER_JPEG, TTL


async def test_a_url_is_answered_with_all_that_a_put_needs(counter: Counter) -> None:
    told = await counter.presign(fileSize=len(JPEG))
    url, key = told.pop("url"), told.pop("key")
    assert url.startswith(str(counter.client.make_url("/-/staging/acme/")))
    assert key.startswith("images/")
    assert key.endswith("/cat.jpg")
    assert told == {
        "filename": "cat.jpg",
        "contentType": "image/jpeg",
        "method": "PUT",
        "headers": {"Content-Type": "image/jpeg"},
        "expiresIn": TTL,
        "expiresAt": "2026-09-21T14:28:20.000Z",
    }
    assert NOW == 1_790_000_000_000


async def test_what_was_put_and_registered_is_a_file(counter: Counter) -> None:
    key = await counter.uploaded()
    status, told = await counter.register(key, alt="a cat", width=1, height=1, tags=["cat"])
    assert status == 201
    assert (told["key"], told["s3Key"], told["originalName"]) == (key, key, "cat.jpg")
    assert (told["size"], told["mimeType"], told["width"], told["height"]) == (
        len(JPEG),
        "image/jpeg",
        40,
        20,
    )
    assert (told["visibility"], told["bucket"], told["alt"], told["tags"]) == (
        "public",
        "images",
        "a cat",
        ["cat"],
    )
    assert (told["ownerType"], told["ownerId"], told["state"], told["version"]) == (
        "user",
        "olga",
        "ready",
        1,
    )
    assert told["url"] == str(counter.client.make_url(f"/{key}"))
    file = await counter.desk.file(Key(key))
    assert file is not None
    assert await counter.desk.body(file.object_key) == JPEG


async def test_it_says_where_the_new_file_is_and_in_which_version(counter: Counter) -> None:
    key = await counter.uploaded()
    given = {"s3Key": key, "originalName": "cat.jpg", "mimeType": "image/jpeg", "size": len(JPEG)}
    async with counter.client.post(FILES, json=given, headers=counter.headers) as answer:
        told = await answer.json()
        assert answer.headers["Location"] == f"/v1/files/{told['id']}"
        assert answer.headers["ETag"] == '"1"'


async def test_a_url_takes_nothing_but_what_it_was_signed_for(counter: Counter) -> None:
    told = await counter.presign(fileSize=len(JPEG))
    assert (await counter.put(told, JPEG + b"!")).status == 403
    assert (await counter.put({**told, "headers": {"Content-Type": "text/html"}})).status == 403


async def test_what_is_put_after_registering_changes_nothing(counter: Counter) -> None:
    told = await counter.presign()
    await counter.put(told)
    _, file = await counter.register(told["key"])
    assert (await counter.put(told, OTHER_JPEG)).status == 200
    kept = await counter.desk.file(Key(file["key"]))
    assert kept is not None
    assert await counter.desk.body(kept.object_key) == JPEG


DECLARED = [
    ({"filename": ""}, "file/invalid-name"),
    ({"filename": "a/b.jpg"}, "file/invalid-name"),
    ({"filename": "a\\b.jpg"}, "file/invalid-name"),
    ({"filename": "a\0.jpg"}, "file/invalid-name"),
    ({"filename": ".."}, "file/invalid-name"),
    ({"filename": "a" * 256}, "file/original-name-too-long"),
    ({"contentType": "jpeg"}, "file/invalid-format"),
    ({"contentType": "image/" + "a" * 250}, "file/mime-type-too-long"),
    ({"contentType": "text/html", "category": "images"}, "file/invalid-format"),
    ({"fileSize": -1}, "file/size-negative"),
    ({"fileSize": 0}, "file/file-too-small"),
    ({"fileSize": 20 * 1024**2 + 1}, "file/file-too-large"),
    ({"fileSize": "1"}, "common/invalid-request"),
    ({"visibility": "secret"}, "common/invalid-request"),
]


@pytest.mark.parametrize("path", [PRESIGN, "/v1/files/multipart/init"])
@pytest.mark.parametrize(("wish", "code"), DECLARED)
async def test_what_cannot_be_uploaded_is_told_by_its_code(
    counter: Counter, path: str, wish: dict[str, Any], code: str
) -> None:
    given = {"filename": "cat.jpg", "contentType": "image/jpeg", **wish}
    status, told = await counter.post(path, given)
    assert (status, told["error"]["code"], told["success"]) == (400, code, False)


LIES = [
    ({"size": 1}, 400, "file/file-too-large"),
    ({"size": 1000}, 400, "file/file-too-small"),
    ({"mimeType": "image/png"}, 400, "file/invalid-format"),
    ({"s3Key": "images/unknown/cat.jpg"}, 404, "file/not-found"),
    ({"s3Key": "x" * 513}, 400, "file/s3-key-too-long"),
    ({"bucket": "avatars"}, 400, "common/invalid-request"),
]


@pytest.mark.parametrize(("said", "status", "code"), LIES)
async def test_a_lie_is_told_by_its_code(
    counter: Counter, said: dict[str, Any], status: int, code: str
) -> None:
    key = await counter.uploaded()
    found, told = await counter.register(key, **said)
    assert (found, told["error"]["code"]) == (status, code)


async def test_a_second_registration_is_a_conflict(counter: Counter) -> None:
    key = await counter.uploaded()
    await counter.register(key)
    status, told = await counter.register(key)
    assert (status, told["error"]["code"]) == (409, "file/s3-key-already-exists")


async def test_the_same_registration_sent_again_has_the_same_answer(counter: Counter) -> None:
    key = await counter.uploaded()
    given = {"s3Key": key, "originalName": "cat.jpg", "mimeType": "image/jpeg", "size": len(JPEG)}
    answers = [await counter.post(FILES, given, Idempotency_Key="once") for _ in range(2)]
    assert answers[0][0] == 201
    assert answers[0] == answers[1]


async def test_of_two_registrations_at_once_one_wins(counter: Counter) -> None:
    key = await counter.uploaded()
    answers = await asyncio.gather(*(counter.register(key) for _ in range(2)))
    assert sorted(status for status, _ in answers) == [201, 409]


async def test_a_key_that_nothing_was_put_for_is_not_found(counter: Counter) -> None:
    told = await counter.presign()
    status, problem = await counter.register(told["key"])
    assert (status, problem["error"]["code"]) == (404, "file/not-found")
    assert "nothing was uploaded" in problem["message"]


@pytest.mark.parametrize(
    "headers",
    [
        shell.user(sub="bob"),
        {**shell.user(tenant="other"), "X-API-Key": shell.ELSEWHERE},
    ],
)
async def test_somebody_else_s_upload_is_not_found(counter: Counter, headers: dict[str, str]) -> None:
    key = await counter.uploaded()
    counter.headers = headers
    status, told = await counter.register(key)
    assert (status, told["error"]["code"]) == (404, "file/not-found")


async def test_a_page_s_key_alone_uploads_nothing(counter: Counter) -> None:
    counter.headers = shell.ANYBODY
    status, told = await counter.post(PRESIGN, {"filename": "a.jpg", "contentType": "image/jpeg"})
    assert (status, told["error"]["code"]) == (401, "common/authentication-required")


async def test_a_secret_key_uploads_for_its_tenant(counter: Counter) -> None:
    counter.headers = shell.SERVICE
    status, told = await counter.register(await counter.uploaded())
    assert (status, told["ownerType"]) == (201, "service")


async def test_a_file_of_a_type_that_its_browser_does_not_know_is_uploaded(counter: Counter) -> None:
    told = await counter.presign(filename="scene.blend", contentType="")
    assert told["contentType"] == "application/octet-stream"
    assert told["headers"] == {"Content-Type": "application/octet-stream"}
