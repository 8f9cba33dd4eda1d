"""The bytes decide which loader reads an image, whatever libvips would prefer."""

from __future__ import annotations

import pytest

from imgproxy.engine import readers
from imgproxy.errors import UnsupportedImage
from imgproxy.image.formats import Format
from imgproxy.image.header import ImageHeader
from imgproxy.image.plan import Ceiling
from tests.pictures import BLUE, RED, animation, descriptor, encoded, made, plain, quadrants, svg


def _facts(data: bytes) -> ImageHeader:
    with descriptor(data) as number:
        return readers.open_image(number).facts


def _with_gain_map(base: bytes) -> bytes:
    """An Ultra HDR JPEG: XMP that names a gain map, and the map behind the base image."""
    xmp = (
        b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF "
        b"xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description "
        b"xmlns:hdrgm='http://ns.adobe.com/hdr-gain-map/1.0/' hdrgm:Version='1.0' hdrgm:GainMapMax='2'/>"
        b"</rdf:RDF></x:xmpmeta>"
    )
    segment = b"\xff\xe1" + (len(xmp) + 2).to_bytes(2, "big") + xmp
    return base[:2] + segment + base[2:] + encoded(plain(8, 8, BLUE), ".jpg")


def test_jpeg_with_a_gain_map_is_read_as_its_base_image() -> None:
    result = made(_with_gain_map(encoded(plain(64, 32, RED), ".jpg", Q=95)), to=None)
    assert (result.rendered.format, result.size) == (Format.JPEG, (64, 32))
    assert abs(result.pixels[5, 5] - RED).max() < 4


def test_jpeg_of_several_images_is_read_as_its_first() -> None:
    two = encoded(plain(64, 32, RED), ".jpg", Q=95) + encoded(plain(64, 32, BLUE), ".jpg", Q=95)
    assert abs(made(two).pixels[5, 5] - RED).max() < 4


_DRAWING = '<rect width="30" height="20" fill="#f00"/>'


@pytest.mark.parametrize(
    "prologue",
    [
        "<?xml version='1.0'?>",
        "<!-- " + "long " * 12_000 + "-->",
        "<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN' 'http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd'>",
        "<!DOCTYPE svg [ <!ENTITY ns 'http://x/'> <!ENTITY b '>'> ]>\n",
        "\ufeff \n\t<?xml-stylesheet href='a.css'?><!-- <html> -->",
    ],
    ids=["xml", "60 KB", "doctype", "entities", "everything"],
)
def test_svg_is_known_behind_any_prologue(prologue: str) -> None:
    data = prologue.encode() + svg(_DRAWING, 'width="30" height="20"')
    assert made(data).size == (30, 20)


@pytest.mark.parametrize("data", [b"<html><svg/></html>", b"<!-- only a comment", b"<svgx/>", b"text <svg/>"])
def test_markup_whose_first_element_is_no_svg_is_unsupported(data: bytes) -> None:
    with pytest.raises(UnsupportedImage):
        _facts(data)


@pytest.mark.parametrize(
    ("head", "wish", "size"),
    [
        ('viewBox="0 0 2.4 1"', {"width": 400}, (400, 167)),
        ('viewBox="0 0 2.4 1"', {}, (2, 1)),
        ('width="10.5" height="7"', {"width": 300}, (300, 200)),
        ('width="1in" height="0.5in"', {}, (96, 48)),
        ('width="1500" height="25"', {"width": 1}, (1, 1)),
        ('width="25" height="1500"', {"width": 1}, (1, 60)),
    ],
)
def test_svg_keeps_its_proportions(head: str, wish: dict[str, int], size: tuple[int, int]) -> None:
    result = made(svg('<rect width="9" height="9"/>', head), **wish)
    assert result.size == size
    assert result.pixels.shape[1::-1] == size


def test_svg_has_96_dots_to_the_inch_as_css_has() -> None:
    drawn = made(svg('<rect width="13.22917mm" height="13.22917mm"/>', 'width="100" height="100"')).pixels
    assert int((drawn[20, :, 3] > 128).sum()) == 50


def test_svg_counts_as_the_pixels_it_is_drawn_with() -> None:
    data = svg('<circle cx="9" cy="9" r="9"/>', 'viewBox="0 0 20000 10000"')
    assert made(data, width=100).size == (100, 50)
    assert made(data, ceiling=Ceiling(50_000_000, 10, 4000)).size == (4000, 2000)


def test_gif_and_webp_that_look_like_svg_are_what_their_bytes_say() -> None:
    assert _facts(encoded(plain(9, 9, RED), ".webp")).format is Format.WEBP
    assert _facts(animation([quadrants(9, 9), quadrants(9, 9)])).format is Format.GIF
