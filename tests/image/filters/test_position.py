"""An overlay lies where imagor would lay it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgproxy.errors import BadArgument
from imgproxy.image.filters.position import Position, PositionArgument

PLACE = PositionArgument("x")


@pytest.mark.parametrize(
    ("text", "begin"),  # of an overlay of 20 on a picture of 100
    [
        ("0", 0),
        ("10", 10),
        ("-10", 70),
        ("-0", 80),
        ("10p", 10),
        ("-10p", 70),
        ("12.5p", 12),
        ("0.25", 25),
        (".25", 25),
        ("-.25", 55),
        ("center", 40),
        ("repeat", 0),
        ("left", 0),
        ("left-5", 5),
        ("l-5", 5),
        ("t", 0),
        ("top-5", 5),
        ("right", 80),
        ("right-5", 75),
        ("r-5", 75),
        ("bottom-5", 75),
        ("b", 80),
        ("200", 200),
        ("-200", -120),
    ],
)
def test_every_way_to_write_a_place_is_read(text: str, begin: int) -> None:
    assert PLACE.parse(text, "x").offset(100, 20) == begin


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1.5",
        "10%",
        "p",
        "left5",
        "left--5",
        "middle",
        "LEFT",
        "123456",
        "٣",
        "center-5",
        "-center",
        "10\n",
    ],
)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(BadArgument, match="watermark: x: pixels, a percentage such as 10p"):
        PLACE.parse(text, "watermark: x")


def test_an_overlay_without_a_place_lies_in_the_corner() -> None:
    assert PLACE.default == Position()
    assert Position().offset(100, 20) == 0


def test_pixels_grow_with_the_density_and_fractions_do_not() -> None:
    assert PLACE.scaled(Position(pixels=10, fraction=0.5), 2) == Position(pixels=20, fraction=0.5)


POSITIONS = st.from_regex(
    re.compile(r"(?:(left|right|top|bottom|l|r|t|b)(-\d{1,3})?|-?\d{1,3}p?|-?\.\d{1,3})", re.ASCII),
    fullmatch=True,
)


@given(POSITIONS, POSITIONS)
def test_places_have_one_text_exactly_when_they_are_one(one: str, other: str) -> None:
    first, second = PLACE.parse(one, "x"), PLACE.parse(other, "x")
    assert (PLACE.text(first) == PLACE.text(second)) is (first == second)


def test_a_centre_and_a_repetition_have_texts_of_their_own() -> None:
    assert [PLACE.text(PLACE.parse(word, "x")) for word in ("center", "repeat")] == ["center", "repeat"]
