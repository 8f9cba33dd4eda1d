"""Every filter is listed, reads what its first line says, and refuses everything else."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgproxy.errors import BadArgument
from imgproxy.image import filters
from imgproxy.image.colour import Colour
from imgproxy.image.filters import FILTERS, named, parse_call
from imgproxy.image.filters.base import Filter, FilterCall
from imgproxy.image.filters.position import Position
from imgproxy.image.formats import Format
from imgproxy.image.gravity import Region
from imgproxy.image.options import Options
from imgproxy.image.transform import Limits, Transform, build

SHARED = {"__init__", "arguments", "canvas", "base", "position"}
FILES = {path.stem for path in Path(filters.__path__[0]).glob("*.py")} - SHARED
RED = Colour(255, 0, 0)

EFFECTS: list[tuple[str, tuple[Any, ...]]] = [
    ("background_color(red)", (RED,)),
    ("background_color(auto)", ("auto",)),
    ("blur(3)", (3, None)),
    ("blur(3,2)", (3, 2)),
    ("brightness(-10)", (-10,)),
    ("contrast(10)", (10,)),
    ("fill(red)", (RED, None)),
    ("fill(blur)", ("blur", None)),
    ("fill(auto,true)", ("auto", "true")),
    ("fill(none)", (Colour(0, 0, 0, 0), None)),
    ("grayscale()", ()),
    ("hue(90)", (90,)),
    ("padding(red,1)", (RED, 1, None, None, None)),
    ("padding(red,1,2,3,4)", (RED, 1, 2, 3, 4)),
    ("proportion(0.5)", (0.5,)),
    ("proportion(50)", (50,)),
    ("rgb(1,2,3)", (1, 2, 3)),
    ("rotate(90)", ("90",)),
    ("round_corner(5)", (5, None, None)),
    ("round_corner(5,6,red)", (5, 6, RED)),
    ("saturation(1000)", (1000,)),
    ("sharpen(1)", (1, None, None)),
    ("sharpen(1,2,true)", (1, 2, "true")),
    ("watermark(a.png)", ("a.png", Position(), Position(), 0, None, None)),
    ("watermark(b64:YS5wbmc,-5,center,50,none,20)",
     ("a.png", Position(pixels=-5, far=True), Position(center=True), 50, "none", 20)),
    ("watermark(a%2Cb%20c.png,0,0)", ("a,b c.png", Position(), Position(), 0, None, None)),
]  # fmt: skip

OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("attachment()", {"attachment": ""}),
    ("attachment(my%20cat.jpg)", {"attachment": "my cat.jpg"}),
    ("dpi(150)", {"dpi": 150}),
    ("dpr(1.5)", {"dpr": 1.5}),
    ("expire(1700000000000)", {"expire": 1_700_000_000_000}),
    ("focal(1x2:3x4)", {"focal": (Region(1, 2, 3, 4),)}),
    ("focal(0.1,0.2)", {"focal": (Region(0.1, 0.2, 0.1, 0.2),)}),
    ("focal(1x2)", {"focal": (Region(1, 2, 1, 2),)}),
    ("format(webp)", {"format": Format.WEBP}),
    ("format(jpg)", {"format": Format.JPEG}),
    ("max_age(0)", {"max_age": 0}),
    ("max_bytes(1000)", {"max_bytes": 1000}),
    ("max_frames(3)", {"max_frames": 3}),
    ("no_upscale()", {"upscale": False}),
    ("page(2)", {"page": 2, "max_frames": 1}),
    ("preset(card)", {}),
    ("quality(80)", {"quality": 80}),
    ("strip_exif()", {"strip_exif": True}),
    ("strip_icc()", {"strip_icc": True}),
    ("strip_metadata()", {"strip_metadata": True}),
    ("upscale()", {"upscale": True}),
]

NONSENSE = [
    "attachment(a,b)", "attachment(" + "a" * 201 + ")", "background_color()", "background_color(blur)",
    "blur()", "blur(-1)", "blur(151)", "blur(1,2,3)", "brightness(101)", "brightness()", "contrast(-101)",
    "dpi(0)", "dpi(x)", "dpi()", "dpr(0)", "dpr(9)", "dpr()", "expire(-1)", "expire(soon)", "fill()",
    "fill(nothing)", "fill(red,maybe)",
    "focal()", "focal(1)", "focal(1x2x3)", "focal(3x4:1x2)", "focal(-1,2)", "focal(axb)", "format()",
    "format(bmp)", "format(WEBP)", "grayscale(1)", "hue(361)", "hue(nan)", "max_age(-1)", "max_age(1.5)",
    "max_age(31536001)", "max_bytes(0)", "max_frames(0)", "no_upscale(1)", "padding(red)", "padding(1)",
    "padding(red,-1)", "padding(red,8193)", "page(0)", "page(-1)", "preset()", "proportion(a)", "quality(0)",
    "quality(101)", "quality(8_0)", "rgb(1,2)", "rgb(1,2,300)", "rotate(45)", "rotate(-90)", "rotate()",
    "round_corner(-1)", "round_corner(1,2,3,4)", "round_corner()", "saturation(-101)", "sharpen(11)",
    "sharpen(1,5)", "sharpen()", "strip_exif(1)", "strip_icc(1)", "strip_metadata(1)", "upscale(1)",
    "watermark()", "watermark(a,nowhere)", "watermark(a,0,0,101)", "watermark(a,0,0,0,0)",
    "watermark(a,0,0,0,1,1001)", "watermark(" + "a" * 8193 + ")",
]  # fmt: skip

IDLE = [
    "blur(0)", "blur(5,0)", "brightness(0)", "contrast(0)", "hue(-360)", "proportion(1)", "proportion(0)",
    "proportion(100)", "proportion(-5)", "rgb(0,0,0)", "rotate(0)", "round_corner(0)", "round_corner(5,0)",
    "saturation(0)", "sharpen(-0.5)",
]  # fmt: skip


def call(text: str) -> FilterCall:
    name, _, arguments = text.removesuffix(")").partition("(")
    return parse_call(name, arguments)


def test_every_file_is_listed_and_nothing_else() -> None:
    assert [each.name for each in FILTERS] == sorted(FILES)


@pytest.mark.parametrize("each", FILTERS, ids=lambda each: each.name)
def test_a_filter_has_either_an_effect_or_an_option(each: Filter) -> None:
    assert (each.apply is None) is not (each.set is None)


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_first_line_of_a_file_says_how_its_filter_is_written(name: str) -> None:
    described = importlib.import_module(f"{filters.__name__}.{name}").__doc__
    assert described is not None
    assert described.startswith(f"{name}(")


def test_every_filter_is_promised_something_here() -> None:
    for promises in ([text for text, _ in EFFECTS] + [text for text, _ in OPTIONS], NONSENSE):
        assert FILES - {text.partition("(")[0] for text in promises} == set()


@pytest.mark.parametrize(("text", "values"), EFFECTS)
def test_an_effect_reads_what_its_first_line_says(text: str, values: tuple[Any, ...]) -> None:
    assert call(text).values == values


@pytest.mark.parametrize(("text", "fields"), OPTIONS)
def test_an_option_sets_what_its_name_says(text: str, fields: dict[str, Any]) -> None:
    read = call(text)
    declared = named(read.name)
    assert declared.set is not None
    assert declared.set(Options(), *read.values) == Options(**fields)


@pytest.mark.parametrize("text", NONSENSE)
def test_nonsense_is_refused_by_the_filters_name(text: str) -> None:
    with pytest.raises(BadArgument, match=f"^{text.partition('(')[0]}: "):
        call(text)


@pytest.mark.parametrize("text", IDLE)
def test_what_changes_no_image_is_known(text: str) -> None:
    read = call(text)
    assert named(read.name).idle(*read.values)


@pytest.mark.parametrize("text", [text for text, _ in EFFECTS])
def test_what_changes_an_image_is_not_taken_for_nothing(text: str) -> None:
    read = call(text)
    assert not named(read.name).idle(*read.values)


def test_several_regions_of_interest_are_all_kept() -> None:
    wish = Transform(width=10, height=10)
    made = build(wish, [call("focal(1,2)"), call("focal(3,4)")], fit_in=False, limits=Limits())
    assert made.options.focal == (Region(1, 2, 1, 2), Region(3, 4, 3, 4))


def test_a_watermark_names_its_object_and_no_other_filter_does() -> None:
    for text, _ in EFFECTS:
        read = call(text)
        found = named(read.name).keys(*read.values)
        assert found == ((read.values[0],) if read.name == "watermark" else ())


@pytest.mark.parametrize("name", ["", "nonsense", "Blur", "blur ", "x" * 1000])
def test_an_unknown_filter_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(
        BadArgument, match=r"is not a filter; there are attachment, background_color, "
    ) as refusal:
        parse_call(name, "")
    assert len(str(refusal.value)) < 600


@given(
    st.sampled_from(sorted(FILES)), st.text("0123456789.,-xp:()%abrehtd ", max_size=20) | st.text(max_size=8)
)
def test_any_arguments_are_read_or_refused_and_named(name: str, arguments: str) -> None:
    try:
        read = parse_call(name, arguments)
    except BadArgument as refusal:
        assert str(refusal).startswith(f"{name}:")  # noqa: PT017  reading it may as well succeed
        return
    made = build(Transform(width=9), [read], fit_in=False, limits=Limits())
    assert made.canonical().isprintable()
