"""Edges become harder, and what is even stays even."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from imgproxy.dialects.query import parse
from imgproxy.image.formats import Format
from tests.pictures import (
    BLACK,
    GREEN,
    RED,
    WHITE,
    animation,
    array,
    canonical,
    disc,
    distance,
    made,
    plain,
    quadrants,
    refusal,
)

_EDGE = quadrants(40, 40, [(100, 100, 100), (160, 160, 160)] * 2)


def test_both_sides_of_an_edge_go_apart() -> None:
    row = made(_EDGE, "sharpen(1)").pixels[20, :, 0]
    assert row[19] < 97
    assert row[20] > 163
    assert (row[0], row[-1]) == (100, 160)


def test_the_last_number_is_what_counts_as_in_imagor() -> None:
    assert made(_EDGE, "sharpen(9,1)").data == made(_EDGE, "sharpen(1)").data
    assert made(_EDGE, "sharpen(9,1,true)").data == made(_EDGE, "sharpen(1)").data


def test_more_than_libvips_takes_is_its_default_as_in_imagor() -> None:
    assert made(_EDGE, "sharpen(5)").data == made(_EDGE, "sharpen(-0.25)").data
    assert made(_EDGE, "sharpen(5)").data != made(_EDGE, "sharpen(4.5)").data


def test_what_is_even_stays_even_and_alpha_stays() -> None:
    assert distance(made(plain(20, 20, RED), "sharpen(2)").pixels, array(plain(20, 20, RED))) <= 2
    assert set(made(plain(20, 20, (*RED, 9)), "sharpen(2)").pixels[..., 3].flat) == {9}


@pytest.mark.parametrize("colour", [WHITE, RED, (20, 20, 120)], ids=str)
@pytest.mark.parametrize("hidden", [GREEN, BLACK, WHITE], ids=str)
@pytest.mark.parametrize("text", ["sharpen(1)", "sharpen(4.5)", "sharpen(-0.25)"])
def test_sharpen_takes_transparent_pixels_for_no_edge(text: str, colour: Any, hidden: Any) -> None:
    drawn = disc(64, colour, hidden)
    pixels = made(drawn, text).pixels
    seen = pixels[..., 3] > 0
    assert np.abs(pixels[seen][:, :3] - colour).max() <= 5
    assert np.array_equal(pixels[..., 3], array(drawn)[..., 3])


def test_sharpen_of_a_half_transparent_image_is_that_of_an_opaque_one() -> None:
    glass = made(_EDGE.bandjoin(128), "sharpen(1)").pixels
    assert distance(glass[..., :3], made(_EDGE, "sharpen(1)").pixels) == 0


def test_sharpen_sharpens_each_frame_by_itself() -> None:
    frames = [_EDGE, _EDGE.fliphor()]
    sharp = made(animation(frames), "sharpen(1)", to=Format.GIF).frames
    for frame, still in zip(sharp, frames, strict=True):
        assert np.abs(frame[..., :3] - made(still, "sharpen(1)").pixels).max() < 8
    assert (sharp[0][20, 19, 0] < 98, sharp[0][20, 20, 0] > 162) == (True, True)


@pytest.mark.parametrize("text", ["sharpen(-0.5)", "sharpen(-10)", "sharpen(5,-0.5)", "sharpen(-0.4999999)"])
def test_what_does_nothing_is_in_no_key(text: str) -> None:
    assert canonical(text) == ""


@pytest.mark.parametrize("text", ["sharpen()", "sharpen(10.1)", "sharpen(1,4.6)", "sharpen(1,1,no)"])
def test_what_is_out_of_bounds_is_refused(text: str) -> None:
    assert refusal(text).startswith("sharpen: ")


def test_sharpen_in_the_query_form_grows_in_effect_from_none_to_strong() -> None:
    edge = array(_EDGE).astype(int)
    changed = []
    for amount in ("0", "1", "2", "5", "10"):
        calls = [f"{name}({text})" for name, text in parse(f"sharpen={amount}").filters]
        changed.append(int(abs(made(_EDGE, *calls).pixels.astype(int) - edge).sum()))
    assert changed[0] == 0
    assert all(less < more for less, more in pairwise(changed))
