"""Contrast stretches colours around middle grey."""

from __future__ import annotations

import numpy as np
import pytest

from tests.pictures import array, canonical, distance, gradient, made, plain, refusal


@pytest.mark.parametrize("percent", [-100, -40, 25, 100])
def test_colours_follow_the_259_formula(percent: int) -> None:
    level = percent * 2.55
    factor = 259 * (level + 255) / (255 * (259 - level))
    expected = np.clip(factor * (array(gradient(64, 64)) - 128) + 128, 0, 255).astype(int)
    assert distance(made(gradient(64, 64), f"contrast({percent})").pixels, expected) <= 1


def test_alpha_stays() -> None:
    assert made(plain(4, 4, (10, 200, 128, 77)), "contrast(100)").pixels[0, 0].tolist() == [0, 255, 128, 77]


def test_none_is_in_no_key() -> None:
    assert canonical("contrast(0)") == ""


@pytest.mark.parametrize("text", ["contrast(101)", "contrast(-101)", "contrast()", "contrast(1,2)"])
def test_what_is_out_of_bounds_is_refused(text: str) -> None:
    assert refusal(text).startswith("contrast: ")
