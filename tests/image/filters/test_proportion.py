"""An image is scaled by a fraction, or by a percentage."""

from __future__ import annotations

import pytest

from imgproxy.image.formats import Format
from tests.pictures import (
    BLUE,
    CORNERS,
    GREEN,
    RED,
    WHITE,
    canonical,
    corners,
    disc,
    film,
    made,
    plain,
    quadrants,
    refusal,
)


@pytest.mark.parametrize(
    ("factor", "expected"), [("0.5", (20, 10)), ("50", (20, 10)), ("0.33", (13, 6)), ("99", (39, 19))]
)
def test_both_sides_are_scaled_and_rounded_down(factor: str, expected: tuple[int, int]) -> None:
    made_so = made(quadrants(40, 20), f"proportion({factor})")
    assert made_so.size == expected
    assert corners(made_so.pixels) == CORNERS


def test_it_scales_what_there_is_by_then() -> None:
    assert made(quadrants(40, 20), "padding(red,10)", "proportion(0.5)", width=20).size == (20, 15)


@pytest.mark.parametrize("size", [(16, 12), (32, 24), (8, 6)])
def test_every_frame_is_scaled_whatever_size_it_was_brought_to(size: tuple[int, int]) -> None:
    made_so = made(film(RED, BLUE), "proportion(0.5)", width=size[0], height=size[1], to=Format.GIF)
    assert made_so.size == (size[0] // 2, size[1] // 2)
    assert [frame[1, 1, :3].tolist() for frame in made_so.frames] == [list(RED), list(BLUE)]


def test_proportion_takes_no_colour_from_transparent_pixels() -> None:
    pixels = made(disc(64, WHITE, GREEN), "proportion(0.5)").pixels
    assert pixels[pixels[..., 3] > 20][:, :3].min() > 245


def test_what_would_leave_no_pixel_does_nothing() -> None:
    assert made(plain(5, 5, RED), "proportion(0.1)").size == (5, 5)


@pytest.mark.parametrize("factor", ["1", "100", "250", "0", "-3"])
def test_no_change_is_in_no_key(factor: str) -> None:
    assert canonical(f"proportion({factor})") == ""


@pytest.mark.parametrize("text", ["proportion(half)", "proportion(nan)", "proportion(1,2)"])
def test_what_is_no_number_is_refused(text: str) -> None:
    assert refusal(text).startswith("proportion: ")
