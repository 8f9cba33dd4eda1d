"""Corners are cut round, and what is cut is see-through or of a colour."""

from __future__ import annotations

import math

import pytest

from imgproxy.dialects.query import parse
from imgproxy.image.formats import Format
from tests.pictures import BLUE, GREEN, RED, asked, canonical, film, made, plain, refusal


@pytest.mark.parametrize(("text", "across", "down"), [("20", 20, 20), ("30,10", 30, 10), ("500", 50, 40)])
def test_as_much_is_cut_as_an_ellipse_leaves(text: str, across: int, down: int) -> None:
    alpha = made(plain(100, 80, RED), f"round_corner({text})").pixels[..., 3]
    assert (alpha[0, 0], alpha[40, 50], alpha[0, 50], alpha[40, 0]) == (
        pytest.approx(0, abs=2), 255, pytest.approx(255, abs=40), pytest.approx(255, abs=40),
    )  # fmt: skip
    assert (255 - alpha).sum() / 255 == pytest.approx((4 - math.pi) * across * down, rel=0.03)


def test_a_colour_fills_the_corners_and_nothing_is_see_through() -> None:
    pixels = made(plain(40, 40, RED), "round_corner(10,10,blue)").pixels
    assert pixels.shape[2] == 3
    assert pixels[0, 0].tolist() == list(BLUE)
    assert pixels[20, 20].tolist() == list(RED)


def test_bg_in_the_query_form_is_the_colour_of_the_rounded_corners() -> None:
    calls = [f"{name}({text})" for name, text in parse("bg=white&round=10").filters]
    pixels = made(plain(40, 40, RED), *calls).pixels
    assert pixels.shape[2] == 3
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[20, 20].tolist() == list(RED)


@pytest.mark.parametrize(("bg", "colour"), [("white", (255, 255, 255)), ("0f0", (0, 255, 0))])
def test_bg_with_round_fills_the_corners_of_a_jpeg(bg: str, colour: tuple[int, int, int]) -> None:
    calls = [f"{name}({text})" for name, text in parse(f"round=30&bg={bg}&format=jpeg").filters]
    pixels = made(plain(100, 60, BLUE), *calls, to=Format.JPEG).pixels.astype(int)
    assert abs(pixels[0, 0] - colour).max() <= 8
    assert abs(pixels[30, 50] - BLUE).max() <= 8


def test_what_was_see_through_stays_so() -> None:
    pixels = made(plain(40, 40, (*RED, 100)), "round_corner(10)").pixels
    assert pixels[20, 20].tolist() == [*RED, 100]
    assert pixels[0, 0, 3] == 0


def test_every_frame_is_rounded() -> None:
    for frame in made(film(RED, GREEN), "round_corner(6)", to=Format.GIF).frames:
        assert (frame[0, 0, 3], frame[-1, -1, 3], frame[6, 8, 3]) == (0, 0, 255)


def test_no_corner_is_in_no_key_and_dpr_scales_both() -> None:
    assert canonical("round_corner(0)") == canonical("round_corner(5,0)") == ""
    assert asked("round_corner(4,6)", "dpr(2)") == asked("round_corner(8,12)")


@pytest.mark.parametrize(
    "text", ["round_corner()", "round_corner(-1)", "round_corner(8193)", "round_corner(5,1,255,2)"]
)
def test_what_is_out_of_bounds_is_refused(text: str) -> None:
    assert refusal(text).startswith("round_corner: ")
