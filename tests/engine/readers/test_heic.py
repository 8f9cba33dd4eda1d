"""HEIC as iPhones make it: upright, in its colours, and its size known before its pixels."""

from __future__ import annotations

import numpy as np
import pytest

from imgproxy.engine import readers
from imgproxy.errors import BrokenImage, ImageTooLarge, UnsupportedImage
from imgproxy.image.formats import Format
from tests.engine.readers.files import pillowed, quarters
from tests.pictures import CORNERS, corners, descriptor, encoded, gradient, made

_QUICK = {"quality": 95, "chroma": "444"}


def test_heic_comes_out_as_jpeg() -> None:
    result = made(pillowed(quarters(128, 64), "HEIF", **_QUICK), to=None)
    assert (result.rendered.format, result.size) == (Format.JPEG, (128, 64))
    assert corners(result.pixels) == CORNERS


def test_heic_with_alpha_comes_out_as_png() -> None:
    result = made(pillowed(quarters(128, 64, alpha=100), "HEIF", **_QUICK), to=None)
    assert result.rendered.format is Format.PNG
    assert abs(result.pixels[5, 5, 3] - 100) < 5


def test_heic_of_a_width_that_rows_are_padded_for_is_not_slanted() -> None:
    result = made(pillowed(quarters(101, 67), "HEIF", **_QUICK))
    assert result.size == (101, 67)
    assert corners(result.pixels) == CORNERS


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_heic_is_set_upright_once(orientation: int) -> None:
    """libheif turns by `irot`; EXIF says the same again and must not count."""
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = orientation
    data = pillowed(quarters(128, 64), "HEIF", exif=exif.tobytes(), **_QUICK)
    turned = {1: 0, 3: 2, 6: -1, 8: 1}[orientation]
    wanted = np.rot90(quarters(128, 64), turned)
    result = made(data)
    assert result.size == wanted.shape[1::-1]
    assert corners(result.pixels) == corners(wanted.astype(int))


def test_heic_keeps_the_colours_of_its_profile() -> None:
    icc = made_profile()
    drawn = np.full((64, 64, 3), (200, 100, 50), np.uint8)
    pixels = made(pillowed(drawn, "HEIF", icc_profile=icc, **_QUICK)).pixels
    assert np.abs(pixels[30, 30] - (215, 93, 31)).max() < 5


def made_profile() -> bytes:
    """Display P3, as libvips brings it along."""
    tagged = gradient(8, 8).icc_transform("p3", input_profile="srgb")
    return bytes(tagged.get("icc-profile-data"))


def test_heic_and_avif_are_told_apart_by_every_brand() -> None:
    avif = bytearray(encoded(gradient(64, 48), ".avif"))
    avif[8:12] = b"mif1"
    with descriptor(bytes(avif)) as number:
        assert readers.open_image(number).facts.format is Format.AVIF
    with descriptor(pillowed(quarters(64, 48), "HEIF")) as number:
        assert readers.open_image(number).facts.format is Format.HEIC


def test_heic_whose_header_claims_too_much_is_refused_before_its_pixels() -> None:
    data = pillowed(quarters(64, 64), "HEIF")
    size = b"ispe\0\0\0\0" + (64).to_bytes(4, "big") * 2
    assert size in data
    huge = data.replace(size, b"ispe\0\0\0\0" + (65_535).to_bytes(4, "big") * 2)
    with pytest.raises((ImageTooLarge, BrokenImage)):
        made(huge)


def test_heic_whose_clean_aperture_is_larger_than_its_pixels_is_damaged() -> None:
    """libheif believes `clap` until it has decoded, then cuts it to what is there (ISO/IEC 23008-12)."""
    data = bytearray(pillowed(quarters(64, 48), "HEIF"))
    width = data.index(b"clap") + 4
    assert data[width : width + 4] == (64).to_bytes(4, "big")
    data[width : width + 4] = (157).to_bytes(4, "big")
    with pytest.raises(BrokenImage):
        made(bytes(data))


def test_heic_of_more_pixels_than_its_clean_aperture_says_is_not_decoded() -> None:
    data = bytearray(pillowed(quarters(601, 601), "HEIF"))
    width = data.index(b"clap") + 4
    for at in (width, width + 8):
        assert data[at : at + 4] == (601).to_bytes(4, "big")
        data[at : at + 4] = (16).to_bytes(4, "big")
    with pytest.raises(BrokenImage):
        made(bytes(data))


def test_heic_is_unsupported_where_its_reader_is_off() -> None:
    with descriptor(pillowed(quarters(64, 48), "HEIF")) as number, pytest.raises(UnsupportedImage) as refused:
        readers.open_image(number, without=("heic",))
    assert "heic" not in str(refused.value)
    assert "avif" in str(refused.value)
