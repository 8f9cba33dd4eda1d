"""What strangers send: each a clear problem, and the next request is served as if nothing had been.

Everything here is real: the server's parts as `app` puts them together, its workers, a folder of files.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient
from yarl import URL

from imgproxy.app import assemble
from imgproxy.files.database_url import SqliteUrl
from imgproxy.settings import Settings
from imgproxy.storage.local import LocalOptions
from tests.pictures import encoded, gradient, noise, png_header, svg, tagged

Client = TestClient[web.Request, web.Application]

MEGA = 1024**2


def expanding(levels: int = 9) -> bytes:
    """An SVG in which each group is ten of the one before: a billion squares."""
    groups = "".join(
        f'<g id="g{level}">' + f'<use href="#g{level - 1}"/>' * 10 + "</g>" for level in range(1, levels)
    )
    return svg(f'<g id="g0"><rect width="1" height="1"/></g>{groups}', 'width="100" height="100"')


def endless_film(frames: int) -> bytes:
    """A GIF of many tiny frames."""
    return encoded(tagged(noise(2, 2 * frames), page_height=2), ".gif", effort=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of originals, good and bad."""
    root = tmp_path_factory.mktemp("originals")
    photo = encoded(noise(600, 400), ".jpg")
    files = {
        "good.jpg": photo,
        "bomb.png": png_header(17_000, 17_000),
        "truncated.jpg": photo[: len(photo) // 2],
        "truncated.webp": (other := encoded(noise(200, 200), ".webp"))[: len(other) // 2],
        "png-inside.jpg": encoded(gradient(40, 30)),
        "page.png": b"<!doctype html><html><body>hello</body></html>",
        "empty.jpg": b"",
        "large.jpg": photo + bytes(60 * MEGA),
        "expanding.svg": expanding(),
        "fetching.svg": svg(
            '<image xlink:href="file:///etc/passwd" width="9" height="9"/>', 'width="9" height="9"'
        ),
        "frames.gif": endless_film(20_000),
        "noise.jpg": bytes(range(256)) * 4,
        ".hidden.jpg": photo,
    }
    for name, body in files.items():
        (root / name).write_bytes(body)
    (root / "out.jpg").symlink_to("/etc/hostname")
    return root


@pytest.fixture
async def client(folder: Path, tmp_path: Path, aiohttp_client: Any) -> AsyncIterator[Client]:
    settings = Settings(
        storage=LocalOptions(folder),
        database=SqliteUrl(tmp_path / "imgproxy.db"),
        unregistered="public",
        workers=2,
        deadline=60,
        max_cost=2,
        admin_port=0,
        cache_bytes=0,
    )
    async with assemble(settings) as server:
        yield await aiohttp_client(server.public)


async def get(client: Client, target: str) -> ClientResponse:
    answer = await client.session.get(
        URL(f"{client.make_url('/').origin()}{target}", encoded=True), headers={"Accept": "*/*"}
    )
    await answer.read()
    return answer


async def test_a_cut_off_jpeg_is_shown_as_damaged(client: Client) -> None:
    for status in ("fwd=miss; stored", "hit"):
        shown = await get(client, "/fit-in/100x100/truncated.jpg")
        assert (shown.status, shown.content_type) == (200, "image/jpeg")
        assert shown.headers["Cache-Status"] == f"imgproxy; {status}; detail=damaged"


@pytest.mark.parametrize(
    ("name", "status", "says"),
    [
        ("bomb.png", 422, "17000×17000"),
        ("truncated.webp", 422, "damaged"),
        ("page.png", 415, "not of a type we read"),
        ("empty.jpg", 422, "empty"),
        ("large.jpg", 413, "52428800"),
        ("frames.gif", 422, "20000 frames"),
        ("noise.jpg", 415, "not of a type we read"),
        ("absent.jpg", 404, "no such public image"),
        ("out.jpg", 404, "no such public image"),
        (".hidden.jpg", 404, "no such public image"),
    ],
)
async def test_a_bad_original_is_a_clear_problem_and_hurts_nobody(
    client: Client, name: str, status: int, says: str
) -> None:
    bad, neighbour = await asyncio.gather(
        get(client, f"/fit-in/100x100/{name}"), get(client, "/fit-in/100x100/good.jpg")
    )
    problem = json.loads(await bad.read())
    assert (bad.status, bad.content_type) == (status, "application/problem+json")
    assert says in problem["detail"]
    assert neighbour.status == 200
    again = await get(client, f"/fit-in/100x100/{name}")
    assert (again.status, json.loads(await again.read())["detail"]) == (status, problem["detail"])
    assert (await get(client, "/fit-in/90x90/good.jpg")).status == 200
    assert (await get(client, "/readyz")).status == 200


async def test_a_drawing_without_end_is_stopped_and_hurts_nobody(client: Client) -> None:
    """By libvips between two rows (504), or within one by its worker's end (422)."""
    endless, neighbour = await asyncio.gather(
        get(client, "/fit-in/100x100/expanding.svg"), get(client, "/fit-in/100x100/good.jpg")
    )
    assert endless.status in (422, 504)
    assert neighbour.status == 200
    assert (await get(client, "/fit-in/100x100/expanding.svg")).status == endless.status
    assert (await get(client, "/readyz")).status == 200


async def test_the_bytes_decide_what_a_file_is(client: Client) -> None:
    answer = await get(client, "/fit-in/20x20/png-inside.jpg")
    assert (answer.status, answer.content_type) == (200, "image/png")


async def test_an_svg_reaches_no_file(client: Client) -> None:
    answer = await get(client, "/fetching.svg")
    assert (answer.status, answer.content_type) == (200, "image/png")


@pytest.mark.parametrize(
    "target",
    [
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/a%00b.jpg",
        "/%252e%252e/good.jpg",
        "/" + "a" * 2000,
    ],
)
async def test_no_key_leaves_the_folder(client: Client, target: str) -> None:
    answer = await get(client, target)
    assert answer.status == 400
    assert b"root:" not in await answer.read()


async def test_an_enormous_picture_of_a_small_one_is_the_askers_fault_and_not_the_originals(
    client: Client,
) -> None:
    answer = await get(client, "/8192x8192/filters:format(png)/good.jpg")
    assert answer.status == 400
    assert (await get(client, "/fit-in/80x80/good.jpg")).status == 200
