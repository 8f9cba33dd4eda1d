"""BMP is read in all depths."""

from __future__ import annotations

import struct

import pytest

from imgproxy.image.formats import Format
from tests.engine.readers.files import pillowed, quarters
from tests.pictures import CORNERS, corners, made


@pytest.mark.parametrize("mode", ["RGB", "P"])
def test_bmp_in_colour_comes_out_as_png(mode: str) -> None:
    result = made(pillowed(quarters(40, 20), "BMP", mode), to=None)
    assert (result.rendered.format, result.size) == (Format.PNG, (40, 20))
    assert corners(result.pixels) == CORNERS


def test_bmp_with_an_alpha_mask_stays_transparent() -> None:
    """A header of version 4 with masks; without them the fourth byte means nothing."""
    masks = struct.pack("<IIII4s", 0xFF0000, 0xFF00, 0xFF, 0xFF000000, b"BGRs") + bytes(48)
    header = struct.pack("<IiiHHIIiiII", 108, 4, 2, 1, 32, 3, 32, 0, 0, 0, 0) + masks
    pixel = bytes([0, 0, 255, 90])
    data = struct.pack("<2sIII", b"BM", 14 + 108 + 32, 0, 14 + 108) + header + pixel * 8
    assert made(data).pixels[0, 0].tolist() == [255, 0, 0, 90]
    assert made(pillowed(quarters(40, 20, alpha=90), "BMP")).pixels[3, 3].tolist() == [255, 0, 0]


def test_bmp_of_one_bit_is_black_and_white() -> None:
    pixels = made(pillowed(quarters(40, 20), "BMP", "1")).pixels
    assert set(pixels[..., 0].flat) == {0, 255}


def test_bmp_is_resized() -> None:
    assert made(pillowed(quarters(400, 200), "BMP"), width=40).size == (40, 20)
