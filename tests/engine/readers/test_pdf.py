"""A page of a PDF is drawn as large as it is wanted."""

from __future__ import annotations

import numpy as np
import pytest

from imgproxy.errors import BadArgument, BrokenImage, ImageTooLarge
from imgproxy.image.formats import Format
from imgproxy.image.plan import Ceiling
from tests.engine.readers.files import pdf
from tests.pictures import BLUE, RED, WHITE, made

_LEFT_RED = "1 0 0 rg 0 0 100 100 re f"
_BLUE = "0 0 1 rg 0 0 200 100 re f"


def test_pdf_shows_its_first_page_as_png_on_white() -> None:
    result = made(pdf(200, 100, _LEFT_RED, _BLUE), to=None)
    assert (result.rendered.format, result.size, result.rendered.pages) == (Format.PNG, (200, 100), 1)
    assert tuple(result.pixels[50, 50]) == RED
    assert tuple(result.pixels[50, 150]) == WHITE


def test_pdf_shows_the_page_that_is_asked_for() -> None:
    assert tuple(made(pdf(200, 100, _LEFT_RED, _BLUE), "page(2)").pixels[50, 50]) == BLUE


def test_pdf_page_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadArgument, match="page: the source image has 2, not 3"):
        made(pdf(200, 100, _LEFT_RED, _BLUE), "page(3)")


def test_pdf_is_sharp_at_any_size() -> None:
    """A line of half a point on a page of 200 is 4 pixels at 1600, with edges and nothing else between."""
    pixels = made(pdf(200, 100, "0 g 99.75 0 0.5 100 re f"), width=1600).pixels[400, :, 0]
    assert pixels.shape == (1600,)
    dark = np.flatnonzero(pixels < 128)
    assert 3 <= len(dark) <= 5
    assert ((pixels > 20) & (pixels < 235)).sum() <= 2


def test_pdf_of_fractions_of_points_keeps_its_proportions() -> None:
    assert made(pdf(2.4, 1, ""), width=400).size == (400, 167)


def test_pdf_of_a_huge_page_counts_as_it_is_drawn() -> None:
    huge = pdf(14_400, 14_400, _LEFT_RED)
    assert made(huge, width=100).size == (100, 100)
    with pytest.raises(ImageTooLarge):
        made(huge, ceiling=Ceiling(pixels=50_000_000, frames=10, side=20_000))


@pytest.mark.parametrize("data", [b"%PDF-1.7 nothing", pdf(200, 100), pdf(200, 100, _BLUE)[:60]])
def test_pdf_without_a_page_is_damaged(data: bytes) -> None:
    with pytest.raises(BrokenImage):
        made(data)
