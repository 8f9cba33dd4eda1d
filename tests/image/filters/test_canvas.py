"""What fill and padding have in common: a mean colour and a place on a larger canvas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from imgproxy.engine.raster import each_frame
from imgproxy.image.colour import TRANSPARENT, WHITE, Colour
from imgproxy.image.filters.canvas import mean_colour, place
from tests.pictures import BLUE, CORNERS, RED, array, gradient, plain, quadrants


@dataclass
class _Strip:
    frames: int = 1

    def each_frame(self, image: Any, change: Any) -> Any:
        return each_frame(image, self.frames, change)


def test_the_mean_of_a_picture_is_the_mean_of_its_pixels() -> None:
    mean = mean_colour(gradient(300, 200))
    assert mean.rgb == pytest.approx(np.mean(array(gradient(300, 200)), axis=(0, 1)), abs=2)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
def test_there_is_a_mean_of_what_is_very_narrow(size: tuple[int, int]) -> None:
    assert mean_colour(plain(*size, RED)) == Colour(*RED)


def test_what_is_seen_through_counts_as_white() -> None:
    assert mean_colour(plain(9, 9, (*BLUE, 0))) == WHITE


def test_a_picture_lies_where_it_is_put() -> None:
    canvas = place(quadrants(4, 4), _Strip(), WHITE, left=2, top=3, width=10, height=8)
    pixels = array(canvas)
    assert pixels.shape == (8, 10, 3)
    assert np.array_equal(pixels[3:7, 2:6], array(quadrants(4, 4)))
    assert (pixels == 255).all(axis=2).sum() == 10 * 8 - 4 * 4


def test_what_hangs_over_a_smaller_canvas_is_cut() -> None:
    pixels = array(place(quadrants(8, 8), _Strip(), WHITE, left=-3, top=-3, width=2, height=2))
    assert [tuple(pixels[y, x]) for y in (0, 1) for x in (0, 1)] == list(CORNERS)


def test_a_transparent_canvas_leaves_the_picture_see_through() -> None:
    pixels = array(place(plain(2, 2, (*RED, 99)), _Strip(), TRANSPARENT, left=1, top=0, width=4, height=2))
    assert pixels[0].tolist() == [[0, 0, 0, 0], [*RED, 99], [*RED, 99], [0, 0, 0, 0]]


def test_blur_is_black_behind_an_animation() -> None:
    strip = plain(4, 8, RED)
    pixels = array(place(strip, _Strip(2), "blur", left=2, top=0, width=8, height=4))
    assert pixels.shape == (8, 8, 3)
    assert pixels[5, 0].tolist() == [0, 0, 0]
    assert pixels[5, 3].tolist() == list(RED)
