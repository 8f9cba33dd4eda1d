"""What is too large or too costly is refused before any pixel is computed, by sizes that filters foretell."""

from __future__ import annotations

import math

import pytest

from imgproxy.dialects import Grammar
from imgproxy.errors import BadArgument
from imgproxy.image import cost
from imgproxy.image.filters import FILTERS, parse_call
from imgproxy.image.filters.base import Extent
from imgproxy.image.formats import TRAITS, WRITTEN, Format
from imgproxy.image.header import ImageHeader
from imgproxy.image.plan import Ceiling, Size
from imgproxy.image.transform import Fit, Transform
from tests.pictures import asked, made, plain

CEILING = Ceiling(pixels=50_000_000, frames=200, side=8192, seconds=5)
EXTENT = Extent(300, 200, (320, 240), (1, 2, 3, 4))


def _read(url: str) -> None:
    Grammar(ceiling=CEILING).read(url)


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("/filters:" + ":".join(["padding(red,8192)"] * 9) + "/color:red", "16385×16385 pixels"),
        ("/8000x6000/filters:padding(red,1,1,500,1)/photo.jpg", "8501×6002 pixels"),
        ("/8192x8192/photo.jpg", "at most 50000000 in all"),
        ("/8192x6000/filters:blur(150,150)/color:red", "seconds of CPU time: at most 5 are allowed"),
        ("/8192x6000/filters:sharpen(1):sharpen(1)/photo.jpg", "seconds of CPU time"),
        ("/8192x6000/filters:format(gif)/photo.jpg", "seconds of CPU time"),
        ("/stretch/8192x6000/filters:hue(1):hue(2)/photo.jpg", "seconds of CPU time"),
        ("/8000x8000/filters:rotate(90):grayscale()/photo.jpg", "at most 50000000 in all"),
    ],
)
def test_a_url_that_certainly_asks_too_much_is_refused_as_it_is_read(url: str, fault: str) -> None:
    with pytest.raises(BadArgument, match=fault.replace("(", r"\(")):
        _read(url)


@pytest.mark.parametrize(
    "url",
    [
        "/fit-in/8192x6000/filters:sharpen(1):sharpen(1)/photo.jpg",  # enlarges nothing
        "/8192x0/filters:format(avif)/photo.jpg",
        "/4000x3000/filters:blur(4):brightness(10):format(avif)/photo.jpg",
        "/filters:proportion(0.0001):proportion(0.0001)/color:red",
        "/params/8192x6000/filters:blur(150,150)/color:red",
    ],
)
def test_a_url_that_may_be_cheap_is_not_refused(url: str) -> None:
    _read(url)


@pytest.mark.parametrize(
    ("call", "size"),
    [
        ("padding(red,5)", (310, 210)),
        ("padding(red,1,2,3,4)", (304, 206)),
        ("fill(red)", (324, 246)),
        ("rotate(90)", (200, 300)),
        ("rotate(180)", (300, 200)),
        ("proportion(0.5)", (150, 100)),
        ("proportion(0.001)", (300, 200)),
        ("blur(3)", (300, 200)),
    ],
)
def test_a_filter_foretells_the_size_that_it_makes(call: str, size: tuple[int, int]) -> None:
    transform = asked(call)
    extent = Extent(300, 200, (320, 240), (1, 2, 3, 4))
    assert cost.effects(transform, extent, 1, CEILING)[1][:2] == size


@pytest.mark.parametrize(
    "calls",
    [
        ("padding(red,5,6,7,8)", "rotate(90)", "fill(blue)"),
        ("proportion(0.3)", "rotate(270)", "padding(blur,3)"),
        ("fill(blur)", "proportion(33)", "round_corner(4)"),
    ],
)
def test_the_foretold_size_is_the_size_that_is_made(calls: tuple[str, ...]) -> None:
    transform = asked(*calls, width=32, height=24, fit=Fit.INSIDE)
    _, told = cost.effects(transform, Extent(32, 16, (32, 24), (0, 0, 0, 0)), 1, CEILING)
    assert made(plain(60, 30, (1, 2, 3)), *calls, width=32, height=24, fit=Fit.INSIDE).size == told[:2]


def test_every_effect_declares_its_cost() -> None:
    examples = {
        "background_color": "red", "blur": "3", "brightness": "3", "contrast": "3", "fill": "red",
        "grayscale": "", "hue": "3", "padding": "red,3", "proportion": "0.5", "rgb": "1,2,3", "rotate": "90",
        "round_corner": "3", "saturation": "3", "sharpen": "1", "watermark": "key",
    }  # fmt: skip
    for each in FILTERS:
        if each.apply is not None:
            call = parse_call(each.name, examples[each.name])
            assert 0 < each.nanoseconds(*call.values) < 1000


def test_every_type_that_is_written_declares_what_its_encoder_takes() -> None:
    assert all(TRAITS[each].encode_ns > 0 < TRAITS[each].encode_bytes for each in WRITTEN)


def _require(transform: Transform, *, decoded: Size | None = None, **how: object) -> None:
    decoded = decoded or Size(400, 300)
    given = {"output": Format.JPEG, "effort": 0, "frames": 1, "ceiling": CEILING, "extent": EXTENT, **how}
    cost.require(transform, ImageHeader(Format.JPEG, *decoded), decoded=decoded, **given)  # type: ignore[arg-type]


def test_the_whole_cost_of_a_known_source_is_judged() -> None:
    _require(asked("blur(150,150)"))
    _require(Transform(), decoded=Size(8192, 6000))
    with pytest.raises(BadArgument, match="seconds of CPU time"):
        _require(asked("blur(150,150)"), extent=EXTENT._replace(width=8000, height=6000))
    with pytest.raises(BadArgument, match="seconds of CPU time"):
        _require(Transform(), output=Format.AVIF, effort=9, extent=EXTENT._replace(width=2000, height=1500))
    with pytest.raises(BadArgument, match="seconds of CPU time"):
        _require(Transform(), output=Format.GIF, frames=100, extent=EXTENT._replace(width=600, height=500))


def test_what_is_not_written_costs_no_encoding() -> None:
    _require(Transform(), output=None, frames=100, extent=EXTENT._replace(width=600, height=500))


def test_without_a_limit_every_cost_is_allowed() -> None:
    unlimited = CEILING._replace(seconds=math.inf)
    _require(asked("blur(150,150)"), extent=EXTENT._replace(width=8000, height=6000), ceiling=unlimited)
