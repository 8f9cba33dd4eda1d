"""Colours by code points instead of a profile (ITU-T H.273): wide primaries and HDR transfers to sRGB.

One lookup table, one matrix and one conversion, on the small image. High dynamic range (PQ, HLG) is taken for
mastered at 1,000 cd/m² and tone-mapped to a display whose white is 203 cd/m² (ITU-R BT.2408) by the curve of
ITU-R BT.2390-11 §5.4.1, applied to each component: nothing changes up to 92 cd/m², and a Hermite spline
brings what is brighter in. Reference white becomes 90 % of the sRGB scale, so highlights keep a tenth.
"""

from __future__ import annotations

from collections.abc import Callable

from imgproxy.engine import vips
from imgproxy.image.filters.base import Image

_BT2020, _P3 = 9, 12
_MATRICES = {
    _BT2020: (  # ITU-R BT.2087-0 §2
        (1.6605, -0.5876, -0.0728),
        (-0.1246, 1.1329, -0.0083),
        (-0.0182, -0.1006, 1.1187),
    ),
    _P3: (  # SMPTE EG 432-1 with D65, to IEC 61966-2-1
        (1.2249, -0.2249, 0.0),
        (-0.0421, 1.0421, 0.0),
        (-0.0196, -0.0786, 1.0983),
    ),
}
"""Linear light of these primaries to linear sRGB; all others are shown as sRGB, as browsers do."""

_GAMMA_22, _LINEAR, _PQ, _HLG = 4, 8, 16, 18
_PEAK = 1000.0  # cd/m², of the source
_WHITE = 203.0  # cd/m², of the display

_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128  # SMPTE ST 2084 §5
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073  # HLG, ITU-R BT.2100-2 table 5


def to_srgb(image: Image, primaries: int, transfer: int) -> Image:
    """Convert to 8-bit sRGB what is not shown as it is; 8 or 16 bits, three bands and perhaps alpha."""
    if (primaries not in _MATRICES and transfer not in _TRANSFERS) or image.bands < 3:
        return image
    deep = image.format == "ushort"
    signal = vips.ramp(deep=deep) / (65535 if deep else 255)
    curve = _TRANSFERS.get(transfer, _from_srgb)(signal)
    colours = image.extract_band(0, n=3).maplut(curve.cast("float"))
    if primaries in _MATRICES:
        colours = colours.recomb(vips.matrix(_MATRICES[primaries]))
    colours = colours.copy(interpretation="scrgb").colourspace("srgb")
    if not image.hasalpha():
        return colours
    alpha = image.extract_band(image.bands - 1)
    alpha = alpha >> 8 if deep else alpha
    return colours.bandjoin(alpha.cast("uchar"))


def _from_srgb(value: Image) -> Image:
    """Invert the sRGB transfer, which all SDR ones are shown as."""
    return (value <= 0.04045).ifthenelse(value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def _from_gamma(value: Image) -> Image:
    return value**2.2


def _from_linear(value: Image) -> Image:
    return value


def _from_pq(value: Image) -> Image:
    return _toned(value)


def _from_hlg(value: Image) -> Image:
    """Apply the HLG OOTF of a 1,000 cd/m² display, system gamma 1.2 (BT.2100-2), to each component."""
    scene = (value <= 0.5).ifthenelse(value**2 / 3, (((value - _C) / _A).exp() + _B) / 12)
    return _toned(_to_pq(scene**1.2 * _PEAK))


def _toned(signal: Image) -> Image:
    """Convert a PQ signal to linear light of the display, 0 to 1, by the EETF of BT.2390."""
    brightest = _pq(_PEAK)
    top = _pq(_WHITE) / brightest
    knee = 1.5 * top - 0.5
    signal = signal / brightest
    signal = (signal > 1).ifthenelse(1, signal)
    t = (signal - knee) / (1 - knee)
    spline = (
        (t**3 * 2 - t**2 * 3 + 1) * knee + (t**3 - t**2 * 2 + t) * (1 - knee) + (t**3 * -2 + t**2 * 3) * top
    )
    return _from_signal((signal < knee).ifthenelse(signal, spline) * brightest) / _WHITE


def _from_signal(signal: Image) -> Image:
    """Convert a PQ signal to cd/m² (ST 2084 EOTF)."""
    root = signal ** (1 / _M2)
    above = root - _C1
    above = (above < 0).ifthenelse(0, above)
    return (above / (root * -_C3 + _C2)) ** (1 / _M1) * 10_000


def _to_pq(light: Image) -> Image:
    """Convert cd/m² to a PQ signal."""
    power = (light / 10_000) ** _M1
    return ((power * _C2 + _C1) / (power * _C3 + 1)) ** _M2


def _pq(light: float) -> float:
    power = (light / 10_000) ** _M1
    return float(((power * _C2 + _C1) / (power * _C3 + 1)) ** _M2)


_TRANSFERS: dict[int, Callable[[Image], Image]] = {
    _GAMMA_22: _from_gamma,
    _LINEAR: _from_linear,
    _PQ: _from_pq,
    _HLG: _from_hlg,
}
"""Signal to linear light where that is not sRGB's."""
