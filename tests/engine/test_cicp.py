"""Wide and bright colours by code points come out as a browser shows them, by formulas of their own here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from imgproxy.engine import cicp, colour_management
from imgproxy.engine.worker_protocol import Encoding
from imgproxy.image.filters.base import Image
from imgproxy.image.formats import Format
from tests.pictures import GREEN, Pixels, array, encoded, gradient, image, made, plain

P3, BT2020, SRGB_CURVE, PQ, HLG = 12, 9, 13, 16, 18


def _coded(picture: Image, primaries: int, transfer: int, **options: Any) -> bytes:
    """An AVIF with other code points than libvips writes; its matrix stays."""
    data = encoded(picture, ".avif", lossless=True, **options)
    at = data.index(b"colrnclx") + 8
    return data[:at] + primaries.to_bytes(2, "big") + transfer.to_bytes(2, "big") + data[at + 4 :]


def _linear(value: Pixels) -> Pixels:
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def _shown(light: Pixels) -> Pixels:
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055) * 255


def _chromaticities(*points: tuple[float, float]) -> Pixels:
    """RGB to XYZ of three primaries, white at D65 (SMPTE RP 177)."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in points]).T
    white = np.array([0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])
    return columns * np.linalg.solve(columns, white)


_TO_XYZ = {
    1: _chromaticities((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)),
    BT2020: _chromaticities((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    P3: _chromaticities((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}


def _expected(colour: tuple[int, ...], primaries: int) -> Pixels:
    light = _linear(np.array(colour) / 255)
    return _shown(np.linalg.solve(_TO_XYZ[1], _TO_XYZ[primaries] @ light))


_COLOURS = [(200, 100, 50), (128, 128, 128), (255, 255, 255), (30, 160, 90), (90, 80, 200), (255, 0, 0)]


@pytest.mark.parametrize("colour", _COLOURS, ids=str)
@pytest.mark.parametrize("primaries", [P3, BT2020])
@pytest.mark.parametrize("depth", [8, 16])
def test_to_srgb_converts_primaries(colour: tuple[int, ...], primaries: int, depth: int) -> None:
    pixels = np.full((4, 4, 3), colour, np.uint8)
    stored = image(pixels) if depth == 8 else image(pixels.astype(np.uint16) * 257, "rgb16")
    shown = cicp.to_srgb(stored, primaries, SRGB_CURVE)
    assert (shown.format, shown.interpretation) == ("uchar", "srgb")
    assert array(shown)[2, 2] == pytest.approx(_expected(colour, primaries), abs=1)


def test_p3_of_the_issue_is_what_browsers_show() -> None:
    assert made(_coded(plain(40, 40, (200, 100, 50)), P3, SRGB_CURVE)).pixels[20, 20] == pytest.approx(
        (215, 93, 31), abs=2
    )


@pytest.mark.parametrize("transfer", [1, 2, 6, 13, 14, 15])
@pytest.mark.parametrize("primaries", [1, 2, 5, 6])
def test_to_srgb_leaves_standard_colours_alone(primaries: int, transfer: int) -> None:
    picture = gradient(8, 8)
    assert cicp.to_srgb(picture, primaries, transfer) is picture


def _signal(nits: float, transfer: int) -> float:
    """PQ or HLG of grey light of so many cd/m²; HLG on a display of 1,000."""
    if transfer == PQ:
        power = (nits / 10_000) ** (2610 / 16384)
        above, below = 3424 / 4096 + 2413 / 128 * power, 1 + 2392 / 128 * power
        return float((above / below) ** (2523 / 32))
    scene = (nits / 1000) ** (1 / 1.2)
    if scene <= 1 / 12:
        return float(np.sqrt(3 * scene))
    return float(0.17883277 * np.log(12 * scene - 0.28466892) + 0.55991073)


def _grey(nits: float, transfer: int) -> float:
    value = round(_signal(nits, transfer) * 65535)
    stored = image(np.full((2, 2, 3), value, np.uint16), "rgb16")
    pixel = array(cicp.to_srgb(stored, BT2020, transfer))[0, 0]
    assert pixel.max() - pixel.min() <= 1
    return float(pixel[0])


@pytest.mark.parametrize("transfer", [PQ, HLG])
@pytest.mark.parametrize("nits", [0.5, 5, 20, 50, 90])
def test_to_srgb_hdr_below_the_knee_is_relative_to_reference_white(nits: float, transfer: int) -> None:
    assert _grey(nits, transfer) == pytest.approx(float(_shown(np.array(nits / 203))), abs=1.5)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_to_srgb_hdr_rolls_highlights_off(transfer: int) -> None:
    shown = [_grey(nits, transfer) for nits in (92, 150, 203, 300, 500, 999)]
    assert shown == sorted(set(shown))
    assert shown[2] == pytest.approx(229, abs=1)
    assert shown[-1] >= 254


def test_to_srgb_pq_above_the_peak_is_white() -> None:
    assert _grey(4000, PQ) == 255


@pytest.mark.parametrize(
    ("transfer", "light"), [(8, lambda value: value), (4, lambda value: value**2.2)], ids=["linear", "2.2"]
)
def test_to_srgb_converts_plain_curves(transfer: int, light: Any) -> None:
    values = np.array([0, 20, 100, 200, 255], np.uint8)
    shown = array(cicp.to_srgb(image(np.repeat(values[None, :, None], 3, 2)), 1, transfer))[0, :, 0]
    assert shown == pytest.approx(_shown(light(values / 255)), abs=1)


@pytest.mark.parametrize("depth", [8, 16])
def test_to_srgb_keeps_alpha(depth: int) -> None:
    pixels = np.full((4, 4, 4), (*GREEN, 77), np.uint8)
    stored = image(pixels) if depth == 8 else image(pixels.astype(np.uint16) * 257, "rgb16")
    assert set(array(cicp.to_srgb(stored, P3, SRGB_CURVE))[..., 3].flat) == {77}


@pytest.mark.parametrize("bitdepth", [8, 10, 12])
def test_hdr_avif_of_any_depth_is_shown_in_sdr(bitdepth: int) -> None:
    signal = round(_signal(203, PQ) * 65535)
    light = image(np.full((32, 32, 3), signal, np.uint16), "rgb16")
    data = _coded(light, BT2020, PQ, bitdepth=bitdepth)
    assert made(data, width=16).pixels[8, 8] == pytest.approx((229, 229, 229), abs=3)


def test_kept_metadata_does_not_keep_code_points_that_no_encoder_writes() -> None:
    data = _coded(plain(40, 40, (200, 100, 50)), P3, SRGB_CURVE)
    for encoding in (Encoding(metadata="keep"), Encoding(metadata="copyright")):
        assert made(data, encoding=encoding).pixels[20, 20] == pytest.approx((215, 93, 31), abs=2)
    assert made(data, encoding=Encoding(imagor=True)).pixels[20, 20] == pytest.approx((200, 100, 50), abs=2)


def test_a_profile_wins_over_code_points() -> None:
    wide = plain(40, 40, (200, 100, 50)).icc_transform("p3", input_profile="srgb", intent="relative")
    assert array(colour_management.to_srgb(wide, nclx=(BT2020, PQ)))[20, 20] == pytest.approx(
        (200, 100, 50), abs=3
    )


def test_a_watermark_by_code_points_is_converted() -> None:
    mark = _coded(plain(40, 40, (200, 100, 50)), P3, SRGB_CURVE)
    laid = made(plain(40, 40, GREEN), "watermark(mark,0,0)", overlays={"mark": mark}, to=Format.PNG)
    assert laid.pixels[20, 20, :3] == pytest.approx((215, 93, 31), abs=2)
