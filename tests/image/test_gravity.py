"""A box lies where it was asked to, and never outside."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgproxy.image.gravity import HAlign, Region, VAlign, focal_point, offset

SIDE = st.integers(1, 10_000)


@pytest.mark.parametrize(
    ("align", "begin"),
    [
        (HAlign.LEFT, 0),
        (HAlign.CENTER, 5),
        (HAlign.RIGHT, 11),
        (VAlign.TOP, 0),
        (VAlign.MIDDLE, 5),
        (VAlign.BOTTOM, 11),
    ],
)
def test_a_box_begins_where_its_word_says(align: HAlign | VAlign, begin: int) -> None:
    assert offset(11, align) == begin


@given(SIDE, st.sampled_from([*HAlign, *VAlign]))
def test_a_box_stays_within_the_free_space(space: int, align: HAlign | VAlign) -> None:
    assert 0 <= offset(space, align) <= space


@pytest.mark.parametrize(
    ("region", "fractional"),
    [
        (Region(0.1, 0.1, 1, 1), True),
        (Region(0, 0, 1, 1), True),
        (Region(1, 0, 1, 1), False),
        (Region(0, 0, 2, 1), False),
    ],
)
def test_fractions_are_told_from_pixels(region: Region, fractional: bool) -> None:
    assert region.fractional is fractional


def test_a_point_is_its_own_focus() -> None:
    assert focal_point([Region(30, 40, 30, 40)], 100, 100) == (30, 40)
    assert focal_point([Region(0.25, 0.5, 0.25, 0.5)], 100, 200) == (25, 100)


def test_larger_regions_weigh_more() -> None:
    x, _ = focal_point([Region(0, 0, 10, 10), Region(50, 50, 80, 80)], 100, 100)
    assert x == (100 * 5 + 900 * 65) / 1000


FRACTION = st.floats(0, 0.99)


@given(st.lists(st.tuples(FRACTION, FRACTION, FRACTION, FRACTION), min_size=1, max_size=4), SIDE, SIDE)
def test_the_focus_lies_within_the_image(
    corners: list[tuple[float, float, float, float]], width: int, height: int
) -> None:
    regions = [
        Region(min(left, right), min(top, bottom), max(left, right), max(top, bottom))
        for left, top, right, bottom in corners
    ]
    x, y = focal_point(regions, width, height)
    assert 0 <= x <= width
    assert 0 <= y <= height
