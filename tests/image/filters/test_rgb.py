"""Each colour moves by itself."""

from __future__ import annotations

import numpy as np
import pytest

from tests.pictures import array, canonical, distance, gradient, made, plain, refusal


@pytest.mark.parametrize("percents", [(20, 0, -10), (100, -100, 0), (0.5, 33.3, 66.6)])
def test_each_part_moves_by_percent_of_full_scale(percents: tuple[float, float, float]) -> None:
    expected = np.clip(array(gradient(64, 64)) + np.array(percents) * 2.55, 0, 255).astype(int)
    text = ",".join(str(percent) for percent in percents)
    assert distance(made(gradient(64, 64), f"rgb({text})").pixels, expected) <= 1


def test_alpha_stays_and_grey_may_become_a_colour() -> None:
    assert made(plain(4, 4, (10, 20, 30, 77)), "rgb(0,20,0)").pixels[0, 0].tolist() == [10, 71, 30, 77]
    assert made(plain(4, 4, (100,)), "rgb(20,0,0)").pixels[0, 0].tolist() == [151, 100, 100]


def test_nothing_is_in_no_key() -> None:
    assert canonical("rgb(0,0,0)") == ""


@pytest.mark.parametrize(
    "text", ["rgb(1,2)", "rgb(101,0,0)", "rgb(0,-101,0)", "rgb(0,0,x)", "rgb(1,2,3,4)", "rgb()"]
)
def test_what_is_out_of_bounds_is_refused(text: str) -> None:
    assert refusal(text).startswith("rgb: ")
