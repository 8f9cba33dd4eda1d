"""An image turns counter-clockwise by quarters, after it was resized."""

from __future__ import annotations

import numpy as np
import pytest

from imgproxy.image.formats import Format
from imgproxy.image.transform import Fit, Padding
from tests.pictures import BLUE, GREEN, RED, animation, array, canonical, corners, made, quadrants, refusal


@pytest.mark.parametrize(("angle", "turns"), [(90, 1), (180, 2), (270, 3)])
def test_it_turns_against_the_clock(angle: int, turns: int) -> None:
    pixels = made(quadrants(40, 20), f"rotate({angle})").pixels
    assert np.array_equal(pixels, np.rot90(array(quadrants(40, 20)), turns))


def test_the_box_and_the_padding_that_fill_knows_turn_along() -> None:
    calls = ("rotate(90)", "fill(fff)")
    made_so = made(
        quadrants(40, 20), *calls, width=30, height=40, fit=Fit.INSIDE, padding=Padding(left=1, top=10)
    )
    assert made_so.size == (40 + 10, 30 + 1)


def test_every_frame_turns_by_itself() -> None:
    film = animation([quadrants(8, 4), quadrants(8, 4, [BLUE, RED, GREEN, RED])])
    made_so = made(film, "rotate(270)", to=Format.GIF)
    assert made_so.size == (4, 8)
    expected = (quadrants(8, 4), quadrants(8, 4, [BLUE, RED, GREEN, RED]))
    assert [corners(frame) for frame in made_so.frames] == [
        corners(np.rot90(array(each), 3)) for each in expected
    ]


def test_standing_still_is_in_no_key() -> None:
    assert canonical("rotate(0)") == ""


@pytest.mark.parametrize("text", ["rotate()", "rotate(45)", "rotate(360)", "rotate(-90)", "rotate(90.0)"])
def test_other_angles_are_refused(text: str) -> None:
    assert refusal(text).startswith("rotate: ")
