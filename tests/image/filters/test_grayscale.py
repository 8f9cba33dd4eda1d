"""Luminance is all that is left."""

from __future__ import annotations

import pytest

from imgproxy.image.formats import Format
from tests.pictures import BLUE, GREEN, RED, WHITE, film, made, plain, refusal


@pytest.mark.parametrize(
    ("colour", "luminance"), [(RED, 0.2126), (GREEN, 0.7152), (BLUE, 0.0722), (WHITE, 1), ((0, 0, 0), 0)]
)
def test_a_colour_becomes_its_luminance(colour: tuple[int, int, int], luminance: float) -> None:
    pixels = made(plain(4, 4, colour), "grayscale()").pixels
    encoded = 1.055 * luminance ** (1 / 2.4) - 0.055 if luminance > 0.0031 else 0
    assert pixels.shape == (4, 4, 1)
    assert pixels[0, 0, 0] == pytest.approx(encoded * 255, abs=1.5)


def test_grey_and_alpha_stay_as_they_are() -> None:
    assert made(plain(4, 4, (100,)), "grayscale()").pixels[0, 0].tolist() == [100]
    assert made(plain(4, 4, (80, 80, 80, 40)), "grayscale()").pixels[0, 0].tolist() == [80, 40]


def test_filters_after_it_may_bring_colour_back() -> None:
    assert made(plain(4, 4, (80, 80, 80)), "grayscale()", "rgb(20,0,0)").pixels[0, 0].tolist() == [
        131,
        80,
        80,
    ]


def test_every_frame_loses_its_colour() -> None:
    for frame in made(film(RED, BLUE), "grayscale()", to=Format.GIF).frames:
        assert frame[2, 2, 0] == frame[2, 2, 1] == frame[2, 2, 2]


def test_it_takes_no_arguments() -> None:
    assert refusal("grayscale(1)").startswith("grayscale: no arguments")
