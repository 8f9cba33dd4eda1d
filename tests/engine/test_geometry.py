"""Frames, resizing and orientation of decoded images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import pyvips

from imgproxy.engine import geometry, vips
from tests.pictures import (
    BLUE,
    CORNERS,
    GREEN,
    RED,
    Pixels,
    array,
    corners,
    deep,
    distance,
    encoded,
    gradient,
    oriented,
    quadrants,
    tagged,
)


def _reopened(picture: Any, kind: str, **options: Any) -> Any:
    return pyvips.Image.new_from_buffer(encoded(picture, kind, **options), "")


def _distance_seen(one: Any, other: Any) -> float:
    """The largest ΔE 2000 of any pixel."""
    return float(one.colourspace("lab").dE00(other.colourspace("lab")).max())


def test_frames_change_by_themselves() -> None:
    strip = vips.join_frames([quadrants(4, 4), quadrants(4, 4)])
    flipped = array(geometry.each_frame(strip, 2, lambda frame: frame.flipver()))
    assert [corners(part) for part in np.split(flipped, 2)] == [(BLUE, (255, 255, 0), RED, GREEN)] * 2


@pytest.mark.parametrize("scale", [0.5, 0.31, 2])
def test_see_through_colours_do_not_bleed_into_the_rest(scale: float) -> None:
    hidden = quadrants(20, 20, [(*RED, 255), (*BLUE, 0)] * 2)
    pixels: Pixels = array(geometry.resized(hidden, scale, scale))
    seen = pixels[pixels[..., 3] > 8]
    assert seen[:, 0].min() > 220
    assert seen[:, 2].max() < 35


def test_depth_stays_while_resizing() -> None:
    solid = deep(20, 20).bandjoin(65535).copy(interpretation="rgb16")
    half = geometry.resized(solid, 0.5, 0.5)
    assert half.format == "ushort"
    assert distance(array(half)[..., :3] // 257, array(gradient(20, 20).resize(0.5))) <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_set_upright_and_its_mark_is_gone(orientation: int) -> None:
    stored = pyvips.Image.new_from_buffer(oriented(orientation), "")
    upright = geometry.upright(stored, orientation)
    assert (upright.width, upright.height) == (40, 20)
    assert corners(array(upright)) == CORNERS
    assert orientation == 1 or not upright.get_typeof("orientation") or upright.get("orientation") == 1


def test_the_orientation_that_was_checked_counts_and_not_the_files() -> None:
    marked = tagged(quadrants(40, 20), orientation=6)
    assert corners(array(geometry.upright(marked, 1))) == CORNERS


# -- colours -----------------------------------------------------------------------------------------------
