"""Brightness adds percent of full scale to every colour."""

from __future__ import annotations

import numpy as np
import pytest

from tests.pictures import array, canonical, distance, gradient, made, plain, refusal


@pytest.mark.parametrize("percent", [-100, -30, 10, 55.5, 100])
def test_colours_move_by_that_much_and_stop_at_the_ends(percent: float) -> None:
    expected = np.clip(array(gradient(64, 64)) + percent * 2.55, 0, 255).astype(int)
    assert distance(made(gradient(64, 64), f"brightness({percent})").pixels, expected) <= 1


def test_alpha_stays() -> None:
    assert made(plain(4, 4, (10, 20, 30, 77)), "brightness(20)").pixels[0, 0].tolist() == [61, 71, 81, 77]


def test_grey_becomes_brighter_grey() -> None:
    assert set(made(plain(4, 4, (100,)), "brightness(20)").pixels[0, 0].tolist()) == {151}


def test_what_is_brightened_can_be_darkened_again() -> None:
    there_and_back = made(gradient(64, 64), "brightness(60)", "brightness(-60)")
    assert distance(there_and_back.pixels, array(gradient(64, 64))) <= 1


def test_none_is_in_no_key() -> None:
    assert canonical("brightness(0)") == canonical("brightness(-0.0)") == ""


@pytest.mark.parametrize("text", ["brightness(101)", "brightness(-100.1)", "brightness()", "brightness(ten)"])
def test_what_is_out_of_bounds_is_refused(text: str) -> None:
    assert refusal(text).startswith("brightness: ")
