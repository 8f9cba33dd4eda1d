"""Only so many of the first frames are shown."""

from __future__ import annotations

import pytest

from imgproxy.image.formats import Format
from tests.pictures import BLUE, GREEN, RED, canonical, film, gradient, made, refusal

_FILM = film(RED, GREEN, BLUE, delays=[100, 200, 300])


@pytest.mark.parametrize(("count", "left"), [(1, 1), (2, 2), (3, 3), (9, 3)])
def test_the_first_frames_are_kept_with_their_delays(count: int, left: int) -> None:
    made_so = made(_FILM, f"max_frames({count})", to=Format.GIF)
    assert made_so.rendered.pages == left
    assert [frame[0, 0, :3].tolist() for frame in made_so.frames] == [
        list(c) for c in (RED, GREEN, BLUE)[:left]
    ]
    if left > 1:
        assert made_so.strip.get("delay") == [100, 200, 300][:left]


def test_a_still_image_does_not_mind() -> None:
    assert made(gradient(9, 9), "max_frames(5)").data == made(gradient(9, 9)).data


def test_it_is_in_the_key() -> None:
    assert canonical("max_frames(2)") == "max_frames(2)"


@pytest.mark.parametrize("text", ["max_frames()", "max_frames(0)", "max_frames(100001)", "max_frames(-1)"])
def test_what_is_out_of_bounds_is_refused(text: str) -> None:
    assert refusal(text).startswith("max_frames: ")
