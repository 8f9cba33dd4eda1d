"""fit-in may make an image larger when it is told to."""

from __future__ import annotations

import pytest

from imgproxy.image.transform import Fit
from tests.pictures import canonical, gradient, made, refusal


@pytest.mark.parametrize(
    ("calls", "expected"),
    [((), (20, 10)), (("upscale()",), (60, 30)), (("upscale()", "no_upscale()"), (20, 10))],
)
def test_fit_in_enlarges_only_when_told_to(calls: tuple[str, ...], expected: tuple[int, int]) -> None:
    assert made(gradient(20, 10), *calls, width=60, height=60, fit=Fit.INSIDE).size == expected


def test_it_is_in_no_key_where_enlarging_goes_without_saying() -> None:
    assert canonical("upscale()", width=50) == canonical(width=50)
    assert canonical("upscale()") == ""


def test_it_takes_no_arguments() -> None:
    assert refusal("upscale(yes)").startswith("upscale: no arguments")
