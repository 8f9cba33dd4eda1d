"""A filter reads its own arguments, and leaves alone what is not its to change."""

from __future__ import annotations

import pytest

from imgproxy.errors import BadArgument
from imgproxy.image.filters.arguments import Number
from imgproxy.image.filters.base import Filter, FilterCall, on_colours

FILTER = Filter("louder", (Number("by", 0, 10, 1.0),), apply=lambda image, _stage, by: image * by)


class Picture:
    """As much of a libvips image as `on_colours` asks of one."""

    def __init__(self, *bands: int, alpha: bool = False) -> None:
        self.values = bands
        self.bands = len(bands)
        self.alpha = alpha

    def hasalpha(self) -> bool:
        return self.alpha

    def extract_band(self, first: int, n: int = 1) -> Picture:
        return Picture(*self.values[first : first + n])

    def bandjoin(self, other: Picture) -> Picture:
        return Picture(*self.values, *other.values)

    def __add__(self, amount: int) -> Picture:
        return Picture(*(value + amount for value in self.values), alpha=self.alpha)


def test_a_call_is_a_filter_with_values() -> None:
    assert FILTER.call("3") == FilterCall("louder", (3,))
    assert FILTER.call("") == FilterCall("louder", (1,))


def test_a_bad_argument_names_the_filter() -> None:
    with pytest.raises(BadArgument, match="louder: by: a number from 0 to 10"):
        FILTER.call("11")


def test_a_filter_may_read_its_arguments_itself() -> None:
    assert Filter("odd", parse=lambda text: (text.upper(),)).call("a,b") == FilterCall("odd", ("A,B",))


def test_a_filter_has_an_effect_and_names_no_object_unless_it_says_so() -> None:
    assert not FILTER.idle(0)
    assert FILTER.keys(0) == ()


def test_alpha_is_no_colour() -> None:
    assert on_colours(Picture(1, 2, 3), lambda colours: colours + 10).values == (11, 12, 13)
    assert on_colours(Picture(1, 2, 3, 9, alpha=True), lambda colours: colours + 10).values == (11, 12, 13, 9)
    assert on_colours(Picture(1, 9, alpha=True), lambda colours: colours + 10).values == (11, 9)
