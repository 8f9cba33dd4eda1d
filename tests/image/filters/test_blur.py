"""A blur is a Gaussian of the sigma asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from imgproxy.image.formats import Format
from tests.pictures import (
    BLACK,
    GREEN,
    RED,
    WHITE,
    animation,
    array,
    asked,
    canonical,
    disc,
    distance,
    image,
    made,
    plain,
    quadrants,
    refusal,
)


def _line() -> object:
    pixels = np.zeros((41, 41, 3), np.uint8)
    pixels[:, 20] = 255
    return image(pixels)


@pytest.mark.parametrize(("text", "sigma"), [("blur(4)", 2), ("blur(9,3)", 3), ("blur(12)", 6)])
def test_a_line_spreads_as_a_gaussian_cut_where_it_falls_below_a_fifth(text: str, sigma: float) -> None:
    bell = np.exp(-((np.arange(41) - 20) ** 2) / (2 * sigma**2))
    bell[bell < 0.2] = 0
    assert made(_line(), text).pixels[20, :, 0] == pytest.approx(bell / bell.sum() * 255, abs=2.5)


def test_what_is_even_stays_even() -> None:
    assert (
        distance(made(plain(30, 30, (10, 20, 30)), "blur(20)").pixels, plain(30, 30, (10, 20, 30)).numpy())
        <= 1
    )


@pytest.mark.parametrize("colour", [WHITE, RED, (20, 20, 120)], ids=str)
@pytest.mark.parametrize("hidden", [GREEN, BLACK, WHITE], ids=str)
def test_blur_takes_no_colour_from_transparent_pixels(colour: Any, hidden: Any) -> None:
    pixels = made(disc(64, colour, hidden), "blur(8)").pixels
    edge = pixels[(pixels[..., 3] > 20) & (pixels[..., 3] < 235)]
    assert len(edge) > 300
    assert np.abs(edge[:, :3] - colour).max() <= 8


def test_blur_blurs_each_frame_by_itself() -> None:
    frames = [quadrants(32, 32), quadrants(32, 32, [BLACK, WHITE] * 2)]
    blurred = made(animation(frames), "blur(8)", to=Format.GIF).frames
    for frame, still in zip(blurred, frames, strict=True):
        assert np.abs(frame[..., :3] - made(still, "blur(8)").pixels).mean() < 3
    assert np.abs(blurred[0][..., :3] - array(frames[0])).mean() > 20


def test_no_blur_is_in_no_key() -> None:
    assert canonical("blur(0)") == canonical("blur(5,0)") == ""


def test_it_grows_with_dpr() -> None:
    assert asked("blur(3)", "dpr(2)") == asked("blur(6)")
    assert asked("blur(3,1.5)", "dpr(2)") == asked("blur(6,3)")


@pytest.mark.parametrize(
    "text", ["blur(151)", "blur(-1)", "blur(1,151)", "blur()", "blur(nan)", "blur(1,2,3)"]
)
def test_what_is_out_of_bounds_is_refused(text: str) -> None:
    assert refusal(text).startswith("blur: ")
