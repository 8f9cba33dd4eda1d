"""What fill and padding have in common: a mean colour and a place on a larger canvas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from imgproxy.engine.geometry import each_frame
from imgproxy.engine.vips import join_frames
from imgproxy.image.colour import TRANSPARENT, WHITE, Colour
from imgproxy.image.filters.canvas import mean_colour, place
from tests.pictures import BLUE, CORNERS, GREEN, RED, array, disc, gradient, plain, quadrants
from tests.pictures import WHITE as WHITE_RGB


@dataclass
class _Strip:
    frames: int = 1
    imagor: bool = False

    def each_frame(self, image: Any, change: Any) -> Any:
        return each_frame(image, self.frames, change)


def test_the_mean_of_an_image_is_the_mean_of_its_pixels() -> None:
    mean = mean_colour(gradient(300, 200))
    assert mean.rgb == pytest.approx(np.mean(array(gradient(300, 200)), axis=(0, 1)), abs=2)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
def test_there_is_a_mean_of_what_is_very_narrow(size: tuple[int, int]) -> None:
    assert mean_colour(plain(*size, RED)) == Colour(*RED)


def test_what_is_seen_through_counts_as_white() -> None:
    assert mean_colour(plain(9, 9, (*BLUE, 0))) == WHITE


def test_an_image_lies_where_it_is_put() -> None:
    canvas = place(quadrants(4, 4), _Strip(), WHITE, left=2, top=3, width=10, height=8)
    pixels = array(canvas)
    assert pixels.shape == (8, 10, 3)
    assert np.array_equal(pixels[3:7, 2:6], array(quadrants(4, 4)))
    assert (pixels == 255).all(axis=2).sum() == 10 * 8 - 4 * 4


def test_what_hangs_over_a_smaller_canvas_is_cut() -> None:
    pixels = array(place(quadrants(8, 8), _Strip(), WHITE, left=-3, top=-3, width=2, height=2))
    assert [tuple(pixels[y, x]) for y in (0, 1) for x in (0, 1)] == list(CORNERS)


def test_a_transparent_canvas_leaves_the_image_see_through() -> None:
    pixels = array(place(plain(2, 2, (*RED, 99)), _Strip(), TRANSPARENT, left=1, top=0, width=4, height=2))
    assert pixels[0].tolist() == [[0, 0, 0, 0], [*RED, 99], [*RED, 99], [0, 0, 0, 0]]


def test_place_blur_puts_each_frame_before_itself() -> None:
    strip = join_frames([plain(4, 4, RED), plain(4, 4, BLUE)])
    pixels = array(place(strip, _Strip(2), "blur", left=2, top=0, width=8, height=4))[..., :3]
    for frame, colour in zip(np.split(pixels, 2), (RED, BLUE), strict=True):
        assert (np.abs(frame - colour) <= 1).all()


def test_place_blur_takes_no_colour_from_transparent_pixels() -> None:
    canvas = place(disc(64, WHITE_RGB, GREEN), _Strip(), "blur", left=10, top=0, width=84, height=64)
    pixels = array(canvas.rint().cast("uchar"))
    assert pixels[pixels[..., 3] > 20][:, :3].min() > 240
