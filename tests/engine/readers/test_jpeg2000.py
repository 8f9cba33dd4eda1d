"""JPEG 2000 is read from its file format and as a bare codestream."""

from __future__ import annotations

import pytest

from imgproxy.image.formats import Format
from tests.engine.readers.files import pillowed, quarters
from tests.pictures import CORNERS, corners, made


@pytest.mark.parametrize("bare", [False, True])
def test_jpeg2000_in_colour_comes_out_as_jpeg(bare: bool) -> None:
    result = made(pillowed(quarters(64, 32), "JPEG2000", no_jp2=bare), to=None)
    assert (result.rendered.format, result.size) == (Format.JPEG, (64, 32))
    assert corners(result.pixels) == CORNERS


def test_jpeg2000_in_grey_stays_grey() -> None:
    assert made(pillowed(quarters(64, 32), "JPEG2000", "L")).pixels.shape == (32, 64, 1)


def test_jpeg2000_with_alpha_comes_out_as_png() -> None:
    result = made(pillowed(quarters(64, 32, alpha=100), "JPEG2000"), to=None)
    assert result.rendered.format is Format.PNG
    assert abs(result.pixels[5, 5, 3] - 100) < 3
