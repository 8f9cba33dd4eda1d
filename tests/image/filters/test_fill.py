"""Fill makes the image as large as the box that was asked for."""

from __future__ import annotations

import numpy as np
import pytest

from imgproxy.image.formats import Format
from imgproxy.image.transform import Fit, Padding
from tests.pictures import (
    BLUE,
    CORNERS,
    GREEN,
    RED,
    WHITE,
    asked,
    canonical,
    corners,
    film,
    gradient,
    made,
    plain,
    quadrants,
    refusal,
)

_BOX = {"width": 40, "height": 30, "fit": Fit.INSIDE, "upscale": False}


def test_the_image_lies_in_the_middle_of_the_box() -> None:
    pixels = made(quadrants(20, 10), "fill(white)", **_BOX).pixels
    assert pixels.shape == (30, 40, 3)
    assert corners(pixels[10:20, 10:30]) == CORNERS
    assert (pixels == 255).all(axis=2).sum() == 40 * 30 - 20 * 10


def test_the_padding_of_the_url_goes_around_it() -> None:
    made_so = made(plain(20, 10, RED), "fill(blue)", padding=Padding(1, 2, 3, 4), **_BOX)
    pixels = made_so.pixels
    assert made_so.size == (40 + 1 + 3, 30 + 2 + 4)
    rows, columns = np.nonzero(pixels[..., 0] == 255)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (11, 30, 12, 21)


def test_none_keeps_the_rest_see_through_and_a_colour_goes_behind_the_image_too() -> None:
    glass = plain(20, 10, (*RED, 0))
    assert made(glass, "fill(none)", **_BOX).pixels[..., 3].max() == 0
    assert made(glass, "fill(0f0)", **_BOX).pixels[15, 20].tolist() == list(GREEN)


def test_auto_is_the_mean_and_blur_is_made_of_the_image() -> None:
    picture = quadrants(20, 10, [RED, RED, BLUE, BLUE])
    assert made(picture, "fill(auto)", **_BOX).pixels[0, 0] == pytest.approx([127, 0, 127], abs=6)
    blurred = made(picture, "fill(blur)", **_BOX).pixels
    assert corners(blurred[10:20, 10:30]) == (RED, RED, BLUE, BLUE)
    assert blurred[0, 0, 0] > blurred[-1, 0, 0] > 20


def test_every_frame_is_filled() -> None:
    made_so = made(film(RED, BLUE), "fill(white)", width=32, height=32, fit=Fit.INSIDE, to=Format.GIF)
    assert made_so.size == (32, 32)
    assert [frame[0, 0, :3].tolist() for frame in made_so.frames] == [list(WHITE)] * 2
    assert [frame[16, 16, :3].tolist() for frame in made_so.frames] == [list(RED), list(BLUE)]


def test_without_a_box_there_is_nothing_to_fill_and_dpr_scales_the_box() -> None:
    assert made(gradient(20, 10), "fill(red)").size == (20, 10)
    assert asked("fill(red)", "dpr(2)", width=10, fit=Fit.INSIDE) == asked(
        "fill(red)", width=20, fit=Fit.INSIDE
    )


def test_thumbors_second_argument_is_taken_and_no_other() -> None:
    assert canonical("fill(red,true)")
    assert refusal("fill(red,maybe)").startswith("fill: fill_transparent")
    assert refusal("fill()").startswith("fill: the argument colour")
    assert refusal("fill(nocolour)").startswith("fill: colour")
