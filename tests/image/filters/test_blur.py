"""A blur is a Gaussian of the sigma asked for."""

from __future__ import annotations

import numpy as np
import pytest

from imgproxy.image.formats import Format
from tests.pictures import BLACK, BLUE, RED, asked, canonical, distance, film, image, made, plain, refusal


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


def test_an_animation_stays_as_it_is() -> None:
    still, blurred = (made(film(RED, BLUE, BLACK), *calls, to=Format.GIF) for calls in ((), ("blur(20)",)))
    assert still.data == blurred.data


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
