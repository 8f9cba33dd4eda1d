"""One URL takes neither all the memory nor all the time, and shuts no image for others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import pyvips

from tests.attack.conftest import Serve
from tests.attack.server import Attacked
from tests.pictures import encoded, noise, plain

MEMORY = 768 * 1024**2
_WIDTHS = count(200)

TOO_LARGE = [
    "/filters:" + ":".join(["padding(red,8192)"] * 9) + "/color:red",
    "/8192x6000/filters:" + ":".join(["round_corner(1)"] * 9) + "/color:red",
    "/8192x6000/filters:" + ":".join(["sharpen(1)"] * 9) + "/color:red",
    "/8192x6000/filters:blur(150,150)/color:red",
    "/8192x6000/filters:watermark(photo.jpg,0,0,0,400,400)/color:red",
    "/8192x6000/filters:format(gif)/color:red",
    "/8192x6000/filters:format(avif):quality(100)/color:red",
]


@pytest.fixture(scope="module")
def large(edge: Attacked) -> Attacked:
    """The server with images of many pixels and few bytes."""
    framed = plain(5800, 5800, (200, 30, 40)).embed(100, 100, 6000, 6000, extend="white")
    edge.store("large.jpg", encoded(framed, ".jpg"))
    edge.store("large.png", encoded(plain(8000, 6000, (200, 30, 40)), ".png"))
    return edge


@pytest.fixture(autouse=True)
def sound(edge: Attacked) -> Iterator[None]:
    """After every attack, a new size of the image is answered, and workers have stayed small."""
    yield
    assert edge.request(f"/{next(_WIDTHS)}x0/photo.jpg").status == 200
    assert max(_peaks()) < MEMORY


def _peaks() -> list[int]:
    """Return the most memory that each worker of this process has had, in bytes."""
    children = [each.read_text().split() for each in Path("/proc/self/task").glob("*/children")]
    statuses = [Path(f"/proc/{pid}/status") for pids in children for pid in pids]
    found = [re.search(r"VmHWM:\s+(\d+)", each.read_text()) for each in statuses if each.exists()]
    return [int(each[1]) * 1024 for each in found if each]


@pytest.mark.parametrize("target", TOO_LARGE)
def test_a_url_that_would_take_too_much_is_refused(edge: Attacked, target: str) -> None:
    response = edge.request(target)
    assert response.status in (400, 422), response
    assert b"at most" in response.body


@pytest.mark.parametrize(
    "target", [each.replace("color:red", "nothing/there.jpg") for each in TOO_LARGE[1:4]]
)
def test_a_url_that_certainly_costs_too_much_is_refused_before_a_fetch(edge: Attacked, target: str) -> None:
    assert edge.request(target).status == 400


def test_max_cost_is_what_the_operator_allows(serve: Serve) -> None:
    server = serve(unregistered="public", max_cost=0.05)
    server.store("photo.png", encoded(noise(1000, 1000), ".png"))
    assert server.request("/2000x2000/filters:blur(20)/color:red").status == 400
    assert server.request("/fit-in/900x900/filters:blur(20)/photo.png").status == 400
    assert server.request("/fit-in/90x90/filters:format(jpeg)/photo.png").status == 200


def test_a_negotiated_type_that_costs_too_much_gives_way_to_a_cheaper(serve: Serve) -> None:
    server = serve(unregistered="public", max_cost=0.2)
    server.store("photo.jpg", encoded(noise(2000, 1400), ".jpg"))
    accept = "image/avif,image/webp"
    large, small = (server.request(f"/fit-in/{side}x{side}/photo.jpg", Accept=accept) for side in (1900, 170))
    assert (large.status, large.headers["content-type"]) == (200, "image/jpeg")
    assert (small.status, small.headers["content-type"]) == (200, "image/avif")


@pytest.mark.parametrize(
    "call",
    ["brightness(1)", "contrast(1)", "hue(1)", "saturation(1)", "sharpen(1)", "blur(1)", "padding(auto,0)"],
)
def test_twenty_filters_cost_twenty_times_one(edge: Attacked, call: str) -> None:
    """With alpha each read its input twice or more, so that twenty would have read it a million times."""
    filters = ":".join([call] * 19 + ["format(webp)"])
    edge.store("clear.png", encoded(plain(120, 80, (9, 90, 200, 120)), ".png"))
    assert edge.request(f"/filters:{filters}/clear.png").status == 200


def test_trim_of_a_large_jpeg_is_answered(large: Attacked) -> None:
    response = large.request("/trim/400x0/large.jpg")
    assert response.status == 200, response
    made = pyvips.Image.new_from_buffer(response.body, "")
    assert (made.width, made.height) == (400, 400)
    assert large.request("/400x0/large.jpg").status == 200


def test_a_large_png_is_a_watermark(large: Attacked) -> None:
    assert large.request("/300x200/filters:watermark(large.png)/color:blue").status == 200
    assert large.request("/300x200/filters:watermark(large.png,0,0,0,20,20)/color:blue").status == 200


def test_many_large_watermarks_are_refused_and_blame_no_image(large: Attacked) -> None:
    marks = ":".join(["watermark(large.png)"] * 6)
    response = large.request(f"/300x200/filters:{marks}/color:blue")
    assert response.status in (200, 422), response
    assert large.request("/300x0/large.png").status == 200


@pytest.mark.parametrize("target", ["/trim/filters:watermark(photo.jpg)/color:red", "/7x7/bottom/tall.png"])
def test_odd_requests_blame_no_image(edge: Attacked, target: str) -> None:
    edge.store("tall.png", encoded(noise(34, 51), ".png"))
    assert edge.request(target).status == 200
    assert edge.request("/299x0/photo.jpg").status == 200
