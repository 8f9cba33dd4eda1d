"""A background shows where the image can be seen through, and nowhere else."""

from __future__ import annotations

import pytest

from imgproxy.image.formats import Format
from tests.pictures import BLUE, RED, canonical, distance, film, gradient, made, plain, refusal


def test_a_colour_shines_through_as_much_as_alpha_lets_it() -> None:
    pixels = made(plain(4, 4, (*RED, 128)), "background_color(blue)").pixels
    assert pixels.shape == (4, 4, 3)
    assert distance(pixels[0, 0], plain(1, 1, (128, 0, 127)).numpy()[0, 0]) <= 1


def test_auto_is_the_mean_colour_as_over_white() -> None:
    assert made(plain(4, 4, (*RED, 0)), "background_color(auto)").pixels[0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize("picture", [gradient(20, 20), plain(4, 4, (90,))], ids=["colour", "grey"])
def test_an_opaque_image_stays_as_it_is(picture: object) -> None:
    assert distance(made(picture, "background_color(blue)").pixels[..., 0], made(picture).pixels[..., 0]) == 0


def test_every_frame_gets_it() -> None:
    frames = made(film((*RED, 0), (*BLUE, 255)), "background_color(0f0)", to=Format.GIF).frames
    assert [frame[3, 3].tolist()[:3] for frame in frames] == [[0, 255, 0], [0, 0, 255]]


def test_two_spellings_of_a_colour_are_one() -> None:
    assert canonical("background_color(red)") == canonical("background_color(F00)")


@pytest.mark.parametrize("text", ["background_color()", "background_color(reddish)", "background_color(f,1)"])
def test_what_is_no_colour_is_refused(text: str) -> None:
    assert refusal(text).startswith("background_color: ")
