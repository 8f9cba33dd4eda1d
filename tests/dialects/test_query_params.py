"""The table of parameters is whole: each has a name of its own, and its row reads what it writes."""

from __future__ import annotations

from collections import Counter

import pytest

from imgproxy.dialects.query_params import BY_NAME, QUERY_PARAMS
from imgproxy.dialects.request import Params
from imgproxy.errors import BadArgument
from imgproxy.image.filters import FILTERS

SAMPLES = {
    "preset": ["card"],
    "trim": ["", "7", "bottom-right", "bottom-right:7"],
    "crop": ["1x2:3x4", "0.1x0.25:1x0.5"],
    "fit": ["outside", "scale-down", "stretch", "min"],
    "upscale": ["1", "0"],
    "w": ["300"],
    "h": ["200"],
    "gravity": ["left", "bottom", "right-top", "center-middle"],
    "smart": ["1"],
    "flip": ["h", "v", "hv"],
    "dpr": ["2"],
    "focal": ["0.1x0.2", "1x2:3x4"],
    "page": ["2"],
    "dpi": ["144"],
    "frames": ["5"],
    "brightness": ["10"],
    "contrast": ["-10"],
    "saturation": ["50"],
    "hue": ["90"],
    "rgb": ["1,2,3"],
    "grayscale": ["1"],
    "blur": ["1,2"],
    "sharpen": ["1", "0.3", "10"],
    "rotate": ["90"],
    "proportion": ["50"],
    "bg": ["red", "00f", "none", "auto"],
    "pad": ["0", "1,2", "1,2,3,4"],
    "round": ["20"],
    "watermark": ["logo.png,right-10,-10p,50"],
    "format": ["webp"],
    "q": ["80"],
    "max_bytes": ["10000"],
    "strip": ["all", "exif", "icc"],
    "download": ["", "a (b).jpg"],
    "max_age": ["60"],
    "expire": ["1700000000000"],
}
"""Values as they are written; every row has some."""

PAIRS = [(name, value) for name, values in SAMPLES.items() for value in values]


def read(name: str, value: str, **beside: str) -> Params:
    """What a row says of a value, beside other parameters."""
    row = BY_NAME[name]
    needed = {"pad": {"bg": "white"}, "upscale": {"preset": "card"}}.get(name, {})
    return Params(**row.read(value, {**needed, **beside, row.name: value}))


def test_every_row_is_tried() -> None:
    assert list(SAMPLES) == [row.name for row in QUERY_PARAMS]


def test_no_two_rows_share_a_name() -> None:
    names = Counter(name for row in QUERY_PARAMS for name in (row.name, row.alias) if name)
    assert set(names.values()) == {1}
    assert set(BY_NAME) == set(names)


@pytest.mark.parametrize(("name", "value"), PAIRS)
def test_a_row_writes_what_it_read(name: str, value: str) -> None:
    assert BY_NAME[name].write(read(name, value)) == value


@pytest.mark.parametrize(("name", "value"), PAIRS)
def test_no_other_row_takes_a_rows_words_for_its_own(name: str, value: str) -> None:
    """But a border's colour, told apart from its sides, and a size, to which the path form enlarges."""
    params = read(name, value)
    written = {row.name for row in QUERY_PARAMS if row.write(params) is not None}
    along = {"pad": {"bg"}, "w": {"upscale"}, "h": {"upscale"}}.get(name, set())
    assert written == {name} | along


@pytest.mark.parametrize("name", sorted(SAMPLES.keys() - {"preset", "download", "watermark"}))
def test_every_row_refuses_what_it_does_not_expect(name: str) -> None:
    """Those left out take any text: whether there is such a preset or image is not known here."""
    with pytest.raises((ValueError, BadArgument)):
        read(name, "nonsense;")


def test_every_filter_can_be_said_but_those_that_the_path_alone_has() -> None:
    said = {name for pair in PAIRS for name, _ in read(*pair).filters}
    said |= {name for name, _ in read("bg", "red", fit="pad").filters}
    assert {each.name for each in FILTERS} - said == {"preset"}


@pytest.mark.parametrize(
    ("beside", "filters"),
    [
        ({}, (("background_color", "red"),)),
        ({"fit": "scale-down"}, (("background_color", "red"),)),
        ({"fit": "pad"}, (("fill", "red"),)),
        ({"fit": "pad", "pad": "1"}, (("fill", "red"),)),
        ({"pad": "1"}, ()),
    ],
)
def test_a_background_is_the_colour_of_what_is_empty(
    beside: dict[str, str], filters: tuple[tuple[str, str], ...]
) -> None:
    assert read("bg", "red", **beside).filters == filters


@pytest.mark.parametrize(
    ("fit", "yes", "no"),
    [
        *((fit, (), (("no_upscale", ""),)) for fit in ("cover", "outside", "fill", "stretch")),
        *((fit, (("upscale", ""),), ()) for fit in ("contain", "inside", "scale-down", "pad")),
        ("min", (), ()),
    ],
)
def test_upscale_writes_a_filter_only_where_the_path_form_would_do_otherwise(
    fit: str, yes: tuple[tuple[str, str], ...], no: tuple[tuple[str, str], ...]
) -> None:
    row = BY_NAME["upscale"]
    assert row.read("1", {"fit": fit, "w": "3"}).get("filters", ()) == yes
    assert row.read("0", {"fit": fit, "w": "3"}).get("filters", ()) == no
    assert row.read("0", {"fit": fit, "w": "0"}) == row.read("1", {"fit": fit}) == {}


@pytest.mark.parametrize("separator", ["-", ",", " "])
def test_sides_may_be_named_in_any_order_but_not_twice(separator: str) -> None:
    both = Params(h_align="left", v_align="top")
    assert read("gravity", f"left{separator}top") == read("gravity", f"top{separator}left") == both
    with pytest.raises(ValueError, match=r"^$"):
        read("gravity", f"left{separator}right")
