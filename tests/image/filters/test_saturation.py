"""Saturation is chroma; lightness and hue stay."""

from __future__ import annotations

import pytest

from imgproxy.image.filters.base import Image
from tests.pictures import canonical, made, plain, refusal


def _lch(picture: Image) -> list[float]:
    return picture.extract_band(0, n=3).copy(interpretation="srgb").colourspace("lch")(0, 0)


@pytest.mark.parametrize("percent", [-50, 30, 100])
def test_chroma_is_multiplied(percent: int) -> None:
    lightness, chroma, hue = _lch(plain(4, 4, (140, 110, 110)))
    after = _lch(made(plain(4, 4, (140, 110, 110)), f"saturation({percent})").image)
    assert after[0] == pytest.approx(lightness, abs=1)
    assert after[1] == pytest.approx(chroma * (1 + percent / 100), abs=1.5)
    assert after[2] == pytest.approx(hue, abs=4)


def test_none_at_all_is_grey_and_alpha_stays() -> None:
    red, green, blue, alpha = made(plain(4, 4, (200, 100, 50, 33)), "saturation(-100)").pixels[0, 0].tolist()
    assert max(red, green, blue) - min(red, green, blue) <= 1
    assert alpha == 33


def test_no_change_is_in_no_key() -> None:
    assert canonical("saturation(0)") == ""


@pytest.mark.parametrize(
    "text", ["saturation()", "saturation(-101)", "saturation(1001)", "saturation(1e999)"]
)
def test_what_is_out_of_bounds_is_refused(text: str) -> None:
    assert refusal(text).startswith("saturation: ")
