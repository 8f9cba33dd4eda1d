"""How caches in front are told to forget a file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from imgproxy.errors import Unavailable
from imgproxy.image.source import Key
from imgproxy.purge.cdn import CdnPurger
from imgproxy.purge.target import PurgeTarget, parse_purge_target

KEY = Key("photos/cat.jpg")


class InFront:
    """A cache that remembers what it was told, and answers as it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.status = 200

    async def handle(self, http: web.Request) -> web.Response:
        self.told.append((http.method, http.raw_path, (await http.read()).decode()))
        self.headers.append(dict(http.headers))
        return web.Response(status=self.status, headers={"Location": "/elsewhere"})


@pytest.fixture
async def front() -> AsyncIterator[tuple[InFront, str]]:
    cache, application = InFront(), web.Application()
    application.router.add_route("*", "/{tail:.*}", cache.handle)
    async with TestServer(application) as server:
        yield cache, f"http://127.0.0.1:{server.port}"


async def forget(
    *targets: str, headers: dict[str, str] | None = None, body: str = "", key: Key = KEY
) -> None:
    caches = CdnPurger([parse_purge_target(target) for target in targets], headers=headers, body=body)
    try:
        await caches.forget(key)
    finally:
        await caches.close()


async def test_nginx_is_told_the_url_for_each_kind_of_client(front: tuple[InFront, str]) -> None:
    cache, base = front
    await forget(f"{base}/{{key}}", key=Key("photos/ä b.jpg"))
    assert cache.told == [("PURGE", "/photos/%C3%A4%20b.jpg", "")] * 3
    assert [headers["Pictures"] for headers in cache.headers] == ["avif", "webp", "legacy"]


async def test_a_cdn_is_told_the_tag_and_shown_the_credential(front: tuple[InFront, str]) -> None:
    cache, base = front
    body = '{"tags":["{tag}"],"key":"{key}"}'
    await forget(f"POST {base}/purge/{{tag}}", headers={"Fastly-Key": "secret"}, body=body, key=Key('a"\\b'))
    [(method, path, told)] = cache.told
    tag = path.removeprefix("/purge/")
    assert (method, json.loads(told)) == ("POST", {"tags": [tag], "key": 'a"\\b'})
    assert cache.headers[0]["Fastly-Key"] == "secret"
    assert cache.headers[0]["Content-Type"] == "application/json"


async def test_the_tag_is_the_one_that_pictures_carry(front: tuple[InFront, str]) -> None:
    from hashlib import sha256  # as docs/cdn.md says in shell

    cache, base = front
    await forget(f"POST {base}/{{tag}}")
    assert cache.told[0][1] == f"/k-{sha256(KEY.encode()).hexdigest()[:16]}"


@pytest.mark.parametrize("status", [200, 202, 204, 404, 410])
async def test_what_was_not_there_is_forgotten(front: tuple[InFront, str], status: int) -> None:
    cache, base = front
    cache.status = status
    await forget(f"{base}/{{key}}")
    assert len(cache.told) == 3


@pytest.mark.parametrize("status", [301, 400, 401, 403, 405, 429, 500, 503])
async def test_a_refusal_is_a_failure(front: tuple[InFront, str], status: int) -> None:
    cache, base = front
    cache.status = status
    with pytest.raises(Unavailable, match=str(status)):
        await forget(f"{base}/{{key}}")


async def test_one_that_is_away_keeps_no_other_from_being_told(front: tuple[InFront, str]) -> None:
    cache, base = front
    with pytest.raises(Unavailable):
        await forget(f"http://127.0.0.1:{unused_port()}/{{key}}", f"{base}/{{key}}")
    assert len(cache.told) == 3


async def test_where_there_is_none_nothing_is_done() -> None:
    async with asyncio.timeout(5):
        await forget()


async def test_raw_targets_are_forgotten_as_they_are_by_caches_that_know_urls_alone(
    front: tuple[InFront, str],
) -> None:
    cache, base = front
    names = (f"{base}/{{key}}", f"{base}/x/{{tag}}", f"POST {base}/tags")
    caches = CdnPurger([parse_purge_target(name) for name in names])
    assert caches.forgets_by_url
    target = "/8x8/filters:fill(red)/b%2Fa%c3%b6.jpg?w=3&x=%20"
    await caches.forget_targets([target])
    await caches.close()
    assert cache.told == [("PURGE", target, "")] * 3
    assert not CdnPurger([parse_purge_target(f"POST {base}/tags")]).forgets_by_url


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("http://127.0.0.1:8081/{key}", PurgeTarget("PURGE", "http://127.0.0.1:8081/{key}")),
        ("PURGE https://a/{tag}", PurgeTarget("PURGE", "https://a/{tag}")),
        (" POST https://a/purge ", PurgeTarget("POST", "https://a/purge")),
    ],
)
def test_a_cache_is_written_as_method_and_url(text: str, target: PurgeTarget) -> None:
    assert parse_purge_target(text) == target


@pytest.mark.parametrize(
    "text", ["", "a.example/{key}", "GET https://a/{key}", "https://a/", "ftp://a/{key}"]
)
def test_what_is_no_cache_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_purge_target(text)
