"""JPEG XL, by pillow-jxl-plugin's decoder, which gives all pixels at once: so the header is read here first.

The header's fields are those of ISO/IEC 18181-1:2024 (annex D and E.2), bit by bit from the lowest.
A JPEG that was packed without loss comes out as that JPEG, and is read as one.
"""

from __future__ import annotations

from typing import NamedTuple

import pillow_jxl

from imgproxy.engine import vips
from imgproxy.engine.readers import pillow
from imgproxy.engine.readers.family import Opened, Reader, Source, prefixed
from imgproxy.engine.readers.still import Still
from imgproxy.errors import BrokenImage
from imgproxy.image.filters.base import Image
from imgproxy.image.formats import Format
from imgproxy.image.header import ImageHeader

_CODESTREAM = b"\xff\x0a"
_CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_SIDE_BITS = (9, 13, 18, 30)
_BANDS = {"L": (1, "b-w"), "LA": (2, "b-w"), "RGB": (3, "srgb"), "RGBA": (4, "srgb")}


class _Bits:
    """Unsigned numbers from bits, the lowest of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._bits = int.from_bytes(data, "little")
        self._left = len(data) * 8

    def take(self, count: int) -> int:
        """Return the next number of `count` bits; raise `BrokenImage` past the end."""
        if count > self._left:
            raise BrokenImage("the source image is damaged: its header cannot be read")
        value = self._bits & ((1 << count) - 1)
        self._bits >>= count
        self._left -= count
        return value

    def one_of(self, *choices: tuple[int, int]) -> int:
        """Return a number stored as one of four (offset, bits), chosen by two bits (U32)."""
        offset, bits = choices[self.take(2)]
        return offset + self.take(bits)


class _Header(NamedTuple):
    width: int
    height: int
    alpha: bool


def _header(data: bytes) -> _Header:
    bits = _Bits(_codestream(data)[2:66])
    width, height = _size(bits)
    if bits.take(1):  # all other fields have their defaults
        return _Header(width, height, alpha=False)
    orientation = 1
    if bits.take(1):
        orientation = bits.take(3) + 1
        if bits.take(1):
            _size(bits)  # the intrinsic size, which is not used
        if bits.take(1):  # a preview, whose header is long: what may be transparent is taken to be
            return _turned(width, height, orientation, alpha=True)
        if bits.take(1):
            _skip_animation(bits)
    if bits.take(1):
        bits.one_of((32, 0), (16, 0), (24, 0), (1, 6))
        bits.take(4)
    else:
        bits.one_of((8, 0), (10, 0), (12, 0), (1, 6))
    bits.take(1)
    extra = bits.one_of((0, 0), (1, 0), (2, 4), (1, 12))
    return _turned(width, height, orientation, alpha=extra > 0)


def _skip_animation(bits: _Bits) -> None:
    """Ticks per second as a fraction, loops, and whether there are time codes."""
    bits.one_of((100, 0), (1000, 0), (1, 10), (1, 30))
    bits.one_of((1, 0), (1001, 0), (1, 8), (1, 10))
    bits.one_of((0, 0), (0, 3), (0, 16), (0, 32))
    bits.take(1)


def _turned(width: int, height: int, orientation: int, *, alpha: bool) -> _Header:
    """Return 1: the decoder applies the orientation itself."""
    return _Header(height, width, alpha) if orientation >= 5 else _Header(width, height, alpha)


def _size(bits: _Bits) -> tuple[int, int]:
    small = bits.take(1)
    height = _side(bits, small)
    ratio = bits.take(3)
    if ratio == 0:
        return _side(bits, small), height
    across, down = _RATIOS[ratio - 1]
    return height * across // down, height


def _side(bits: _Bits, small: int) -> int:
    if small:
        return (bits.take(5) + 1) * 8
    return bits.take(_SIDE_BITS[bits.take(2)]) + 1


def _codestream(data: bytes) -> bytes:
    """Return the first bytes of the codestream, which may lie in a box (ISO/IEC 18181-2)."""
    if data.startswith(_CODESTREAM):
        return data[:128]
    at = 0
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        body = at + 8
        if length == 1:
            length, body = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        if kind in (b"jxlc", b"jxlp"):
            start = body + (4 if kind == b"jxlp" else 0)
            if data.startswith(_CODESTREAM, start):
                return data[start : start + 128]
            break
        if length < 8:
            break
        at += length
    raise BrokenImage("the source image is damaged: its header cannot be read")


def _open(source: Source, format_: Format, _dpi: float) -> Opened:
    header = _header(source.data)
    facts = ImageHeader(format_, header.width, header.height, alpha=header.alpha)
    return Still(facts, lambda: _pixels(source.data))


def _pixels(data: bytes) -> Image:
    with pillow.translated():
        packed, info, pixels, profile, _ = pillow_jxl.Decoder(num_threads=0)(data)
        if packed:
            return vips.decode_jpeg(pixels).autorot()
        mode = info.mode
        if mode == "F":
            return vips.from_memory(pixels, info.width, info.height, 1, "b-w", None, "float").linear(255, 0)
        if mode == "I;16":
            return vips.from_memory(pixels, info.width, info.height, 1, "grey16", profile)
        bands, interpretation = _BANDS[mode]
        return vips.from_memory(pixels, info.width, info.height, bands, interpretation, profile)


JPEGXL = Reader("jpegxl", (Format.JXL,), prefixed(Format.JXL, _CODESTREAM, _CONTAINER), _open)
