"""Hue turns; lightness and chroma stay."""

from __future__ import annotations

import pytest

from imgproxy.image.filters.base import Image
from tests.pictures import canonical, made, plain, refusal


def _lch(picture: Image) -> list[float]:
    return picture.extract_band(0, n=3).copy(interpretation="srgb").colourspace("lch")(0, 0)


@pytest.mark.parametrize("degrees", [-120, 45, 90, 200])
def test_a_colour_turns_in_lch(degrees: int) -> None:
    before = _lch(plain(4, 4, (150, 110, 110)))
    after = _lch(made(plain(4, 4, (150, 110, 110)), f"hue({degrees})").image)
    assert after[:2] == pytest.approx(before[:2], abs=2)
    assert (after[2] - before[2] - degrees + 180) % 360 - 180 == pytest.approx(0, abs=3)


def test_grey_has_no_hue_to_turn_and_alpha_stays() -> None:
    assert made(plain(4, 4, (90, 90, 90, 33)), "hue(77)").pixels[0, 0] == pytest.approx(
        [90, 90, 90, 33], abs=1
    )


def test_a_whole_turn_is_in_no_key() -> None:
    assert canonical("hue(0)") == canonical("hue(360)") == canonical("hue(-360)") == ""


@pytest.mark.parametrize("text", ["hue(361)", "hue(-361)", "hue()", "hue(red)"])
def test_what_is_out_of_bounds_is_refused(text: str) -> None:
    assert refusal(text).startswith("hue: ")
