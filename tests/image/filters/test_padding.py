"""Padding is a border around the image as it is at that moment."""

from __future__ import annotations

import numpy as np
import pytest

from imgproxy.errors import BadArgument
from imgproxy.image.formats import Format
from tests.pictures import (
    BLUE,
    CORNERS,
    RED,
    asked,
    canonical,
    corners,
    film,
    made,
    plain,
    quadrants,
    refusal,
)


@pytest.mark.parametrize(
    ("sides", "left", "top", "right", "bottom"),
    [
        ("2", 2, 2, 2, 2),
        ("2,3", 2, 3, 2, 3),
        ("1,2,3,4", 1, 2, 3, 4),
        ("1,2,3", 1, 2, 3, 2),
        ("0,0,5", 0, 0, 5, 0),
    ],
)
def test_sides_are_left_top_right_bottom(sides: str, left: int, top: int, right: int, bottom: int) -> None:
    pixels = made(plain(8, 6, RED), f"padding(blue,{sides})").pixels
    assert pixels.shape == (6 + top + bottom, 8 + left + right, 3)
    rows, columns = np.nonzero(pixels[..., 0] == 255)
    assert (columns.min(), columns.max() + 1, rows.min(), rows.max() + 1) == (left, left + 8, top, top + 6)
    assert ((pixels == BLUE).all(axis=2) | (pixels == RED).all(axis=2)).all()


def test_it_may_be_put_around_more_than_once() -> None:
    pixels = made(quadrants(8, 8), "padding(fff,1)", "padding(000,2)").pixels
    assert pixels.shape == (14, 14, 3)
    assert [int(value) for value in pixels[7, :4, 0]] == [0, 0, 255, 0]
    assert corners(pixels[3:11, 3:11]) == CORNERS


def test_every_frame_gets_a_border() -> None:
    made_so = made(film(RED, BLUE), "padding(none,3)", to=Format.GIF)
    assert made_so.size == (22, 18)
    for frame in made_so.frames:
        assert frame[0, 0, 3] == 0
        assert frame[9, 9, 3] == 255


def test_it_grows_with_dpr() -> None:
    assert asked("padding(red,1,2,3)", "dpr(2)") == asked("padding(red,2,4,6)")


def test_more_than_an_answer_may_have_is_refused_before_it_is_computed() -> None:
    with pytest.raises(BadArgument, match="16400×16400"):
        made(plain(400, 400, RED), "padding(red,8000)")


@pytest.mark.parametrize(
    "text",
    [
        "padding()",
        "padding(red)",
        "padding(red,-1)",
        "padding(red,8193)",
        "padding(x,1)",
        "padding(red,1,2,3,4,5)",
    ],
)
def test_what_is_out_of_bounds_is_refused(text: str) -> None:
    assert refusal(text).startswith("padding: ")


def test_two_spellings_of_a_colour_are_one() -> None:
    assert canonical("padding(red,4)") == canonical("padding(ff0000,4)")
