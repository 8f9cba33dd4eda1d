"""JPEG XL: sizes from the header before any pixel, then the pixels."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgproxy.engine import readers
from imgproxy.errors import BrokenImage, ImageTooLarge
from imgproxy.image.formats import Format
from imgproxy.image.header import ImageHeader
from tests.engine.readers.files import boxes, pillowed, quarters
from tests.pictures import CORNERS, corners, descriptor, encoded, made, noise


def _facts(data: bytes) -> ImageHeader:
    with descriptor(data) as number:
        return readers.open_image(number).facts


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 600), st.integers(1, 600))
def test_header_tells_the_size(width: int, height: int) -> None:
    facts = _facts(pillowed(quarters(width, height), "JXL", effort=1))
    assert (facts.format, facts.width, facts.height, facts.alpha) == (Format.JXL, width, height, False)


@pytest.mark.parametrize("ratio", [(12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1), (1, 1)])
def test_header_tells_sides_of_a_common_ratio(ratio: tuple[int, int]) -> None:
    width, height = ratio[0] * 20, ratio[1] * 20
    facts = _facts(pillowed(quarters(width, height), "JXL", effort=1))
    assert (facts.width, facts.height) == (width, height)


@pytest.mark.parametrize("container", [False, True])
@pytest.mark.parametrize("lossless", [False, True])
def test_jxl_comes_out_as_jpeg(container: bool, lossless: bool) -> None:
    data = pillowed(quarters(64, 32), "JXL", lossless=lossless, use_container=container)
    result = made(data, to=None)
    assert (result.rendered.format, result.size) == (Format.JPEG, (64, 32))
    assert corners(result.pixels) == CORNERS


def test_jxl_with_alpha_comes_out_as_png() -> None:
    data = pillowed(quarters(64, 32, alpha=100), "JXL", lossless=True)
    assert _facts(data).alpha
    result = made(data, to=None)
    assert (result.rendered.format, result.pixels[5, 5].tolist()) == (Format.PNG, [255, 0, 0, 100])


def test_jxl_in_grey_stays_grey() -> None:
    assert made(pillowed(quarters(64, 32), "JXL", "L")).pixels.shape == (32, 64, 1)


def test_jxl_of_a_packed_jpeg_is_that_jpeg(tmp_path: object) -> None:
    from pathlib import Path

    from PIL import Image

    folder = Path(str(tmp_path))
    plain = encoded(noise(64, 48), ".jpg", Q=90)
    (folder / "a.jpg").write_bytes(plain)
    with Image.open(folder / "a.jpg") as image:
        image.save(folder / "a.jxl", lossless_jpeg=True)
    packed = (folder / "a.jxl").read_bytes()
    assert (made(packed).pixels == made(plain).pixels).all()


def _codestream(*fields: tuple[int, int]) -> bytes:
    """A codestream's beginning: each field's value and bits, the lowest bit first."""
    bits, at = 0, 0
    for value, count in fields:
        bits |= value << at
        at += count
    return b"\xff\x0a" + bits.to_bytes(24, "little")


def test_jxl_of_many_pixels_is_refused_by_its_header() -> None:
    # not small; 18 bits each for 100,000 rows and columns, all else its default
    side = ((2, 2), (99_999, 18))
    with pytest.raises(ImageTooLarge, match="100000×100000"):
        made(_codestream((0, 1), *side, (0, 3), *side, (1, 1)))


@pytest.mark.parametrize("extra", [0, 1])
def test_header_of_an_animation_tells_alpha(extra: int) -> None:
    size = ((1, 1), (5, 5), (0, 3), (7, 5))  # 48 rows, 64 columns, both by eights
    turned = ((0, 1), (1, 1), (0, 3), (0, 1), (0, 1))  # extra fields: upright, no intrinsic size or preview
    film = ((1, 1), (3, 2), (23, 30), (2, 2), (0, 8), (1, 2), (5, 3), (1, 1))  # 24/1 a second, 5 loops
    depth = ((0, 1), (0, 2), (1, 1), (extra, 2))  # whole numbers of 8 bits, and extra channels
    facts = _facts(_codestream(*size, *turned, *film, *depth))
    assert (facts.width, facts.height, facts.alpha) == (64, 48, bool(extra))


def test_jxl_container_without_a_codestream_is_damaged() -> None:
    head = b"\0\0\0\x0cJXL \r\n\x87\n"
    with pytest.raises(BrokenImage):
        made(head + boxes((b"ftyp", b"jxl \0\0\0\0jxl "), (b"free", b"")))
