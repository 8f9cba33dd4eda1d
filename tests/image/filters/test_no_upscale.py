"""An image is never made larger than its source image."""

from __future__ import annotations

import pytest

from imgproxy.image.transform import Fit
from tests.pictures import asked, canonical, gradient, made, refusal


@pytest.mark.parametrize(
    ("fit", "expected"),
    [(Fit.COVER, (20, 10)), (Fit.INSIDE, (20, 10)), (Fit.OUTSIDE, (20, 10)), (Fit.STRETCH, (20, 10))],
)
def test_what_is_smaller_than_the_box_keeps_its_size(fit: Fit, expected: tuple[int, int]) -> None:
    assert made(gradient(20, 10), "no_upscale()", width=40, height=40, fit=fit).size == expected


def test_what_is_larger_is_made_as_small_as_ever() -> None:
    wish = {"width": 10, "height": 10}
    assert made(gradient(40, 20), "no_upscale()", **wish).data == made(gradient(40, 20), **wish).data


def test_the_last_word_counts() -> None:
    assert asked("no_upscale()", "upscale()", width=9) == asked(width=9)
    assert asked("upscale()", "no_upscale()", width=9).upscale is False


def test_it_is_in_the_key_only_where_it_has_effect() -> None:
    assert canonical("no_upscale()") == ""
    assert canonical("no_upscale()", width=9, fit=Fit.INSIDE) == canonical(width=9, fit=Fit.INSIDE)
    assert canonical("no_upscale()", width=9) != canonical(width=9)


def test_it_takes_no_arguments() -> None:
    assert refusal("no_upscale(1)").startswith("no_upscale: no arguments")
