"""Density multiplies every length of the URL, and leaves no other trace."""

from __future__ import annotations

import pytest

from imgproxy.errors import BadArgument
from imgproxy.image.transform import Fit, Padding
from tests.pictures import asked, gradient, made, refusal


def test_sizes_and_padding_grow_by_it() -> None:
    dense = asked("dpr(2)", "fill(red)", width=10, height=20, padding=Padding(1, 2, 3, 4))
    assert dense == asked("fill(red)", width=20, height=40, padding=Padding(2, 4, 6, 8))
    assert (
        dense.canonical() == asked("fill(red)", width=20, height=40, padding=Padding(2, 4, 6, 8)).canonical()
    )


def test_a_free_side_stays_free_and_nothing_shrinks_to_nothing() -> None:
    sparse = asked("dpr(0.1)", width=3, height=0)
    assert (sparse.width, sparse.height) == (1, 0)


@pytest.mark.parametrize("first", [True, False])
def test_it_matters_not_where_it_stands_among_the_filters(first: bool) -> None:
    calls = ["dpr(3)", "blur(2)"] if first else ["blur(2)", "dpr(3)"]
    assert asked(*calls) == asked("blur(6)")


def test_the_image_has_that_many_pixels() -> None:
    assert made(gradient(100, 50), "dpr(1.5)", width=20, height=20, fit=Fit.INSIDE).size == (30, 15)


def test_a_dense_side_meets_the_same_limit() -> None:
    with pytest.raises(BadArgument, match="width: 10000 pixels"):
        asked("dpr(2)", width=5000)


@pytest.mark.parametrize("text", ["dpr(0)", "dpr(0.05)", "dpr(8.1)", "dpr(-1)", "dpr(inf)", "dpr()"])
def test_what_is_out_of_bounds_is_refused(text: str) -> None:
    assert refusal(text).startswith("dpr: ")
