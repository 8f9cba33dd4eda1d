"""Results lie where the source lay, and are as sharp as a Lanczos resize of the whole decoded source.

A few seconds of it run each time; `make soak` runs all of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st

from imgproxy.engine.worker_protocol import Encoding
from imgproxy.image.formats import Format
from imgproxy.image.gravity import Region
from imgproxy.image.transform import Fit
from tests.pictures import Made, Pixels, array, encoded, image, made, tagged

_FAR = 0.1
"""Pixels of the result that a point may be off."""


@dataclass(frozen=True)
class Case:
    """A source, and the box it is stretched to."""

    format: Format
    width: int
    height: int
    box: tuple[int, int]
    orientation: int = 1
    exact: bool = False

    def made(self, source: bytes, **wish: object) -> Made:
        width, height = self.box
        encoding = Encoding(exact=self.exact)
        return made(source, fit=Fit.STRETCH, width=width, height=height, encoding=encoding, **wish)


def _saved(drawn: Pixels, case: Case) -> bytes:
    picture = tagged(image(drawn), orientation=case.orientation)
    options = {Format.JPEG: {"Q": 98}, Format.WEBP: {"Q": 98}}.get(case.format, {})
    return encoded(picture, f".{case.format.value}", **options)


def _roofs(width: int, height: int) -> Pixels:
    """Grey that grows evenly to the middle column and falls again, and so from top to bottom.

    Every value says where it comes from. Grain keeps encoders from rounding whole areas the same way. No
    colours: where a side is odd, WebP's decoder moves them by up to half a pixel when it scales.
    """
    even = (_roof(width)[None, :] + _roof(height)[:, None]) / 2
    grained = even + np.random.default_rng(5).normal(0, 2, even.shape)
    return np.repeat(grained.round().astype(np.uint8)[..., None], 3, 2)


def _roof(length: int) -> Pixels:
    return 228 - 400 * np.abs((np.arange(length) + 0.5) / length - 0.5)


def _off(pixels: Pixels) -> tuple[float, float]:
    """How far the roofs lie beside the middle, in pixels to the right and down."""
    return _beside(pixels[..., 1].mean(0)), _beside(pixels[..., 1].mean(1))


def _beside(values: Pixels) -> float:
    """The slopes lie on either side, so that what a decoder or a resize rounds cancels out."""
    length = len(values)
    edge, middle = length // 8, length // 2
    error = values - _roof(length) / 2
    rising, falling = error[edge : middle - edge].mean(), error[middle + edge : -edge].mean()
    return float((falling - rising) / 2 * length / 200)


_UPRIGHT = st.builds(
    Case,
    st.sampled_from([Format.JPEG, Format.JPEG, Format.WEBP, Format.PNG]),
    st.integers(80, 700),
    st.integers(80, 700),
    st.tuples(st.integers(40, 160), st.integers(40, 160)),
    exact=st.booleans(),
)


def _check_place(case: Case) -> None:
    pixels = case.made(_saved(_roofs(case.width, case.height), case)).pixels
    assert pixels.shape[:2] == (case.box[1], case.box[0])
    for off, side, side_before in zip(_off(pixels), case.box, (case.width, case.height), strict=True):
        assert abs(off) < _FAR * max(1, side / side_before), case


@settings(max_examples=40, deadline=None)
@given(_UPRIGHT)
def test_resize_of_any_size_leaves_every_point_where_it_was(case: Case) -> None:
    _check_place(case)


@pytest.mark.soak
@settings(max_examples=2_000, deadline=None)
@given(_UPRIGHT)
def test_resize_of_thousands_of_sizes_leaves_every_point_where_it_was(case: Case) -> None:
    _check_place(case)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_resize_of_a_turned_jpeg_leaves_every_point_where_it_was(orientation: int) -> None:
    """Blocks that are not whole lie to the right and below in the file, wherever that is for a person."""
    sides = (397, 269) if orientation < 5 else (269, 397)
    case = Case(Format.JPEG, *sides, box=(83, 59), orientation=orientation)
    upright = pyvips.Image.new_from_array(_roofs(397, 269)).copy(interpretation="srgb")
    undone = {2: "fliphor", 3: "rot180", 4: "flipver", 6: "rot270", 8: "rot90"}
    turned = {5: upright.rot270().flipver, 7: upright.rot90().flipver}.get(
        orientation, getattr(upright, undone.get(orientation, "copy"))
    )()
    pixels = case.made(_saved(turned.numpy(), case)).pixels
    assert max(map(abs, _off(pixels))) < _FAR


@given(st.integers(0, 150), st.integers(0, 150))
@settings(max_examples=15, deadline=None)
def test_resize_of_a_crop_begins_where_the_crop_does(left: int, top: int) -> None:
    drawn = np.full((1000, 1000, 3), 128, np.uint8)
    drawn[top : top + 700, left : left + 700] = _roofs(700, 700)
    case = Case(Format.JPEG, 1000, 1000, box=(61, 61))
    pixels = case.made(_saved(drawn, case), crop=Region(left, top, left + 700, top + 700)).pixels
    assert max(map(abs, _off(pixels))) < _FAR


@pytest.mark.parametrize("scale", [1.5, 2, 4, 7.3])
def test_enlarging_leaves_a_spot_in_the_middle(scale: float) -> None:
    drawn = np.zeros((60, 60, 3), np.uint8)
    drawn[27:33, 27:33] = 255
    side = round(60 * scale)
    pixels = made(image(drawn), width=side, height=side).pixels[..., 0]
    middle = (pixels * (np.arange(side) + 0.5)).sum() / pixels.sum()
    assert abs(middle - side / 2) < _FAR


@cache
def _text() -> Pixels:
    """Black strokes one and two pixels wide on white, and thin coloured lines through all of it."""
    random = np.random.default_rng(3)
    drawn = np.full((853, 1281, 3), 255, np.uint8)
    for top in range(6, 840, 18):
        for left in range(4, 1270, 9):
            if random.random() < 0.8:
                drawn[top : top + 11, left : left + random.integers(1, 3)] = 20
                middle = top + random.integers(0, 11)
                drawn[middle : middle + random.integers(1, 3), left : left + 6] = 20
    drawn[::97] = (200, 0, 0)
    drawn[:, ::61] = (0, 0, 180)
    return drawn


@cache
def _photo() -> Pixels:
    """Soft colours with the noise of a camera."""
    down, across = np.mgrid[0:853, 0:1281]
    soft = 128 + 60 * np.sin(across / 90) + 50 * np.cos(down / 70 + across / 200)
    grained = np.stack([soft, soft * 0.8 + 20, 255 - soft], 2) + np.random.default_rng(1).normal(
        0, 8, (853, 1281, 3)
    )
    return np.clip(grained, 0, 255).astype(np.uint8)


def _decibels(case: Case, source: bytes) -> float:
    """PSNR of a result against the Lanczos resize of everything that is in the file."""
    whole = pyvips.Image.new_from_buffer(source, "")
    width, height = case.box
    wanted = array(whole.resize(width / whole.width, vscale=height / whole.height))
    error = float(((case.made(source).pixels - wanted) ** 2).mean())
    return 99 if error == 0 else 10 * math.log10(255**2 / error)


_WIDTHS = (1000, 640, 427, 320, 213, 160)
"""Of 1281: hardly smaller, then a half, a third, a quarter, a sixth and an eighth but for a pixel."""


@pytest.mark.parametrize(
    ("format_", "drawing", "exact", "worst"),
    [
        (Format.JPEG, "text", False, 24),
        (Format.JPEG, "photo", False, 42),
        (Format.JPEG, "text", True, 26),
        (Format.WEBP, "text", False, 24),
        (Format.WEBP, "photo", False, 42),
        (Format.PNG, "text", False, 60),
    ],
)
def test_resize_is_as_sharp_as_of_the_whole_source(
    format_: Format, drawing: str, exact: bool, worst: float
) -> None:
    drawn = {"text": _text, "photo": _photo}[drawing]()
    cases = [Case(format_, 1281, 853, (width, round(width * 853 / 1281)), exact=exact) for width in _WIDTHS]
    source = _saved(drawn, cases[0])
    assert min(_decibels(case, source) for case in cases) > worst


@pytest.mark.parametrize("sides", [(2000, 4), (4, 2000), (1000, 7), (1, 1000), (1500, 250), (2, 2), (3, 1)])
@pytest.mark.parametrize("format_", [Format.JPEG, Format.WEBP, Format.PNG])
@pytest.mark.parametrize("width", [1, 2, 50, 100, 299])
def test_no_side_of_a_thin_source_becomes_nothing(
    format_: Format, sides: tuple[int, int], width: int
) -> None:
    source = encoded(image(np.full((sides[1], sides[0], 3), 90, np.uint8)), f".{format_.value}")
    for wish in ({"width": width}, {"width": width, "height": width, "fit": Fit.INSIDE}):
        result = made(source, **wish)
        assert min(result.size) >= 1
        assert result.pixels.shape[1::-1] == result.size


def test_shrink_of_jpeg_keeps_the_rows_of_a_block_that_is_not_whole() -> None:
    """2000×15 at an eighth is one row of blocks and seven rows that jpegload leaves out."""
    drawn = np.zeros((15, 2000, 3), np.uint8)
    drawn[:7, :, 0] = drawn[7:, :, 2] = 255
    pixels = made(encoded(image(drawn), ".jpg", Q=95), width=250).pixels
    assert pixels[-1, 125, 2] > 150
    assert pixels[0, 125, 0] > 150
