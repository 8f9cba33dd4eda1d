"""Of an icon the largest image is shown."""

from __future__ import annotations

import struct

import pytest

from imgproxy.errors import BrokenImage, ImageTooLarge
from imgproxy.image.formats import Format
from tests.engine.readers.files import pillowed, quarters
from tests.pictures import CORNERS, corners, made, png_header

_FIRST_CHUNKS = 8 + 25
"""Bytes of a PNG's mark and its IHDR."""


@pytest.mark.parametrize("bitmap", ["png", "bmp"])
def test_ico_shows_its_largest_image(bitmap: str) -> None:
    icon = pillowed(quarters(64, 64), "ICO", sizes=[(16, 16), (64, 64), (32, 32)], bitmap_format=bitmap)
    result = made(icon, to=None)
    assert (result.rendered.format, result.size) == (Format.PNG, (64, 64))
    assert corners(result.pixels) == CORNERS


def test_cur_is_read_as_an_icon_is() -> None:
    icon = bytearray(pillowed(quarters(32, 32), "ICO", sizes=[(32, 32)]))
    icon[2] = 2
    assert made(bytes(icon)).size == (32, 32)


def _icon(count: int, body: bytes) -> bytes:
    directory = b"".join(
        struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(body), 6 + 16 * count) for _ in range(count)
    )
    return struct.pack("<HHH", 0, 1, count) + directory + body


def test_ico_whose_image_is_larger_than_its_directory_says_meets_the_limits() -> None:
    with pytest.raises(ImageTooLarge, match="20000×20000"):
        made(_icon(1, png_header(20_000, 20_000)))


def test_ico_whose_image_has_a_second_size_is_damaged() -> None:
    """Pillow heeds the last IHDR: a file of 2.5 MB took 1.7 GB, past a limit of 50 million pixels."""
    whole = pillowed(quarters(40, 40), "PNG")
    twice = png_header(16, 16)[:_FIRST_CHUNKS] + whole[8:]
    with pytest.raises(BrokenImage, match="cannot be decoded"):
        made(_icon(1, twice))


def test_ico_of_thousands_of_entries_is_read_once() -> None:
    body = pillowed(quarters(16, 16), "PNG")
    assert made(_icon(5_000, body)).size == (16, 16)


def test_ico_without_an_image_is_damaged() -> None:
    with pytest.raises(BrokenImage):
        made(struct.pack("<HHH", 0, 1, 0))
