"""Colours are read by name and by hex digits; nothing else is taken for black."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgproxy.errors import BadArgument
from imgproxy.image.colour import BLACK, TRANSPARENT, WHITE, Colour, parse_colour

BYTE = st.integers(0, 255)


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("black", BLACK),
        ("White", WHITE),
        ("tomato", Colour(0xFF, 0x63, 0x47)),
        ("none", TRANSPARENT),
        ("transparent", TRANSPARENT),
        ("fff", WHITE),
        ("f0a", Colour(255, 0, 0xAA)),
        ("FF00AA", Colour(255, 0, 0xAA)),
        ("ff00aa80", Colour(255, 0, 0xAA, 0x80)),
        ("FFO", Colour(255, 255, 0)),
    ],
)
def test_a_colour_is_read(text: str, colour: Colour) -> None:
    assert parse_colour(text, "fill") == colour


@pytest.mark.parametrize(
    "text", ["", "#fff", "ff", "ffff", "fffff", "ggg", "rgb(1,2,3)", "nocolour", "٣٣٣", "fff\n"]
)
def test_what_is_no_colour_is_refused(text: str) -> None:
    with pytest.raises(BadArgument, match=r"^fill: a colour name or 3, 6 or 8 hex digits"):
        parse_colour(text, "fill")


@given(BYTE, BYTE, BYTE, BYTE)
def test_a_colour_is_written_so_that_it_reads_the_same(red: int, green: int, blue: int, alpha: int) -> None:
    colour = Colour(red, green, blue, alpha)
    assert parse_colour(str(colour), "fill") == colour


def test_parts_come_in_the_order_libvips_takes() -> None:
    assert Colour(1, 2, 3, 4).rgb == [1, 2, 3]
    assert Colour(1, 2, 3, 4).rgba == [1, 2, 3, 4]
