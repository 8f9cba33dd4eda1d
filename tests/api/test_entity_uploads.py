"""Uploads and downloads by the path of what a file belongs to."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api import shell
from tests.api.conftest import Counter
from tests.files.uploading import JPEG, TTL

AVATAR = "/v1/users/42/avatar"
CAT: dict[str, Any] = {"filename": "cat.jpg", "contentType": "image/jpeg"}


async def uploaded(counter: Counter, path: str = AVATAR) -> str:
    status, told = await counter.post(f"{path}/upload-url", CAT)
    assert status == 200
    put = {"url": told["uploadUrl"], "headers": {"Content-Type": "image/jpeg"}}
    assert (await counter.put(put)).status == 200
    return str(told["fileKey"])


async def download(counter: Counter, key: str, path: str = AVATAR) -> tuple[int, dict[str, Any]]:
    query = {"fileKey": key}
    async with counter.client.get(f"{path}/download-url", params=query, headers=counter.headers) as answer:
        return answer.status, await answer.json()


async def test_a_url_and_a_key_are_answered_under_both_of_their_names(counter: Counter) -> None:
    status, told = await counter.post(f"{AVATAR}/upload-url", CAT)
    assert (status, sorted(told)) == (200, ["expiresIn", "fileKey", "key", "uploadUrl", "url"])
    assert (told["uploadUrl"], told["fileKey"], told["expiresIn"]) == (told["url"], told["key"], TTL)


@pytest.mark.parametrize(
    ("path", "collection"),
    [
        ("/v1/users/42/avatar", "avatars"),
        ("/v1/posts/7/attachments", "attachments"),
        ("/v1/documents/7/scan", "documents"),
        ("/v1/posts/7/cover", "images"),
    ],
)
async def test_the_path_says_which_collection_it_is_for(counter: Counter, path: str, collection: str) -> None:
    key = await uploaded(counter, path)
    _, file = await counter.register(key)
    assert (key.partition("/")[0], file["bucket"]) == (collection, collection)


async def test_a_category_says_it_better(counter: Counter) -> None:
    _, told = await counter.post(f"{AVATAR}/upload-url", {**CAT, "category": "images"})
    assert told["key"].startswith("images/")


async def test_the_owner_gets_a_url_to_the_bytes_by_the_key(counter: Counter) -> None:
    key = await uploaded(counter)
    await counter.register(key, visibility="private")
    status, told = await download(counter, key)
    assert (status, sorted(told)) == (200, ["downloadUrl", "expiresAt", "expiresIn"])
    async with counter.client.session.get(told["downloadUrl"]) as answer:
        assert (answer.status, await answer.read()) == (200, JPEG)


@pytest.mark.parametrize("headers", [shell.user(sub="bob"), shell.ANYBODY, {"X-API-Key": shell.ELSEWHERE}])
async def test_nobody_else_finds_a_private_file(counter: Counter, headers: dict[str, str]) -> None:
    key = await uploaded(counter)
    await counter.register(key, visibility="private")
    counter.headers = headers
    status, told = await download(counter, key)
    assert (status, told["error"]["code"]) == (404, "file/not-found")


async def test_another_tenant_does_not_find_a_public_one(counter: Counter) -> None:
    key = await uploaded(counter)
    await counter.register(key, visibility="public")
    counter.headers = {"X-API-Key": shell.ELSEWHERE}
    status, told = await download(counter, key)
    assert (status, told["error"]["code"]) == (404, "file/not-found")


async def test_a_key_that_is_no_file_s_is_not_found(counter: Counter) -> None:
    status, told = await download(counter, "avatars/unknown/cat.jpg")
    assert (status, told["error"]["code"]) == (404, "file/not-found")


async def test_a_page_s_key_alone_uploads_nothing(counter: Counter) -> None:
    counter.headers = shell.ANYBODY
    status, told = await counter.post(f"{AVATAR}/upload-url", CAT)
    assert (status, told["error"]["code"]) == (401, "common/authentication-required")
