"""A page that is measured in points has as many pixels as its inches ask for."""

from __future__ import annotations

from tests.engine.readers.files import pdf
from tests.pictures import RED, asked, made, plain, refusal


def test_dpi_of_a_pdf_scales_its_own_size() -> None:
    page = pdf(144, 72, "1 0 0 rg 0 0 144 72 re f")
    assert made(page).size == (144, 72)
    assert made(page, "dpi(144)").size == (288, 144)
    assert made(page, "dpi(36)").size == (72, 36)


def test_dpi_leaves_the_size_that_is_asked_for() -> None:
    assert made(pdf(144, 72, ""), "dpi(300)", width=50).size == (50, 25)


def test_dpi_of_an_image_of_pixels_changes_nothing() -> None:
    assert made(plain(40, 20, RED), "dpi(300)").size == (40, 20)


def test_dpi_of_72_is_no_option() -> None:
    assert asked("dpi(72)") == asked()


def test_dpi_out_of_bounds_is_refused() -> None:
    assert refusal("dpi(0)").startswith("dpi: ")
