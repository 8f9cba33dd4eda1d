"""PURGE /{key}: forget a source image and everything that was made of it."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp.test_utils import make_mocked_request

from imgproxy.errors import Unavailable
from imgproxy.image.source import Key, parse_key
from imgproxy.purge.endpoint import PurgeEndpoint, path_of
from tests.edge.conftest import Edge, MakeEdge

SECRET = {"Authorization": "Bearer secret"}


@pytest.fixture
async def edge(make_edge: MakeEdge) -> Edge:
    edge = await make_edge(purge_secret="secret")
    await edge.store("photo.jpg")
    return edge


async def test_every_variant_is_forgotten(edge: Edge) -> None:
    for target in ("/1x1/photo.jpg", "/2x2/photo.jpg", "/2x2/photo.jpg"):
        await edge.get(target)
    assert (await edge.get("/photo.jpg", method="PURGE", **SECRET)).status == 200
    for target in ("/1x1/photo.jpg", "/2x2/photo.jpg"):
        assert (await edge.get(target)).headers["Cache-Status"] == "imgproxy; fwd=miss; stored"
    assert len(edge.engine.jobs) == 4


async def test_a_picture_with_a_purged_watermark_is_forgotten_too(edge: Edge) -> None:
    await edge.store("logo.png")
    target = "/filters:watermark(logo.png,0,0)/photo.jpg"
    await edge.get(target)
    await edge.get("/logo.png", method="PURGE", **SECRET)
    assert "miss" in (await edge.get(target)).headers["Cache-Status"]


async def test_other_originals_are_not_forgotten(edge: Edge) -> None:
    await edge.store("other.jpg")
    await edge.get("/1x1/other.jpg")
    await edge.get("/photo.jpg", method="PURGE", **SECRET)
    assert "hit" in (await edge.get("/1x1/other.jpg")).headers["Cache-Status"]


async def test_what_is_under_way_is_made_anew_before_it_is_answered(edge: Edge) -> None:
    edge.engine.hold = asyncio.Event()
    asking = asyncio.create_task(edge.get("/1x1/photo.jpg"))
    await edge.engine.reached.wait()
    await edge.get("/photo.jpg", method="PURGE", **SECRET)
    edge.engine.hold.set()
    assert (await asking).status == 200
    assert len(edge.engine.jobs) == 2
    assert "hit" in (await edge.get("/1x1/photo.jpg")).headers["Cache-Status"]


async def test_who_asks_after_the_purge_does_not_join_who_asked_before(edge: Edge) -> None:
    edge.engine.hold = asyncio.Event()
    before = asyncio.create_task(edge.get("/1x1/photo.jpg"))
    await edge.engine.reached.wait()
    await edge.get("/photo.jpg", method="PURGE", **SECRET)
    after = asyncio.create_task(edge.get("/1x1/photo.jpg"))
    edge.engine.reached.clear()
    await edge.engine.reached.wait()
    edge.engine.hold.set()
    assert [(await each).status for each in (before, after)] == [200, 200]


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic secret"}]
)
async def test_nobody_without_the_secret_purges(edge: Edge, headers: dict[str, str]) -> None:
    await edge.get("/1x1/photo.jpg")
    assert (await edge.get("/photo.jpg", method="PURGE", **headers)).status == 403
    assert "hit" in (await edge.get("/1x1/photo.jpg")).headers["Cache-Status"]


async def test_without_a_secret_there_is_no_such_method(make_edge: MakeEdge) -> None:
    edge = await make_edge()
    assert (await edge.get("/photo.jpg", method="PURGE", **SECRET)).status == 405


async def test_a_key_that_cannot_be_is_named(edge: Edge) -> None:
    assert (await edge.get("/a//b.jpg", method="PURGE", **SECRET)).status == 400


@pytest.mark.parametrize("name", ["photo.jpg", "a folder/päivä+1?.jpg"])
async def test_the_path_of_a_key_purges_that_key(edge: Edge, name: str) -> None:
    answer = await edge.get(path_of(parse_key(name)), method="PURGE", **SECRET)
    assert await answer.json() == {"purged": name}


async def test_purge_that_cannot_be_recorded_holds_now_and_is_503() -> None:
    def fail(_: Key) -> None:
        raise OSError("Read-only file system")

    applied: list[Key] = []

    async def broadcast(key: Key) -> None:
        applied.append(key)

    endpoint = PurgeEndpoint(broadcast, record=fail, secret="secret")
    request = make_mocked_request("PURGE", "/photo.jpg", headers=SECRET)
    with pytest.raises(Unavailable, match="would not outlast a restart"):
        await endpoint.handle(request)
    assert applied == ["photo.jpg"]


async def test_purge_changes_the_etag(edge: Edge) -> None:
    """A storage may replace bytes under one version; who has the old ones must not be answered 304."""
    before = (await edge.get("/1x1/photo.jpg")).headers["ETag"]
    await edge.get("/photo.jpg", method="PURGE", **SECRET)
    answer = await edge.get("/1x1/photo.jpg", If_None_Match=before)
    assert (answer.status, answer.headers["ETag"] != before) == (200, True)
