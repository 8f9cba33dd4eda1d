"""Segments of JPEG (ITU-T T.81 annex B): those that decoding needs are kept, and the colour profile."""

from __future__ import annotations

import re

from imgproxy.engine.strip_metadata import exif
from imgproxy.engine.strip_metadata.numbers import Bound
from imgproxy.errors import BrokenImage

_SOS, _EOI = 0xDA, 0xD9
_ALONE = frozenset((0x00, 0x01, *range(0xD0, 0xD9)))
"""Markers without a segment, and no marker."""
_JFIF, _EXIF = (0xE0, b"JFIF\0"), (0xE1, b"Exif\0\0")
_KEPT = ((0xE2, b"ICC_PROFILE\0"), (0xEE, b"Adobe"))
_DECODING = frozenset((*range(0xC0, 0xD0), *range(0xDA, 0xE0)))
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""The end of entropy-coded data; compiled, as a photo holds 100,000 bytes of 0xFF."""


def strip(data: bytes) -> bytes:
    """Keep what decoding needs, up to the end of the image.

    Behind it cameras put further images with EXIF of their own, and films. An image without an end stays as
    long as it is.
    """
    bound, kept, at, scanned, turned = Bound(), [b"\xff\xd8"], 2, False, False
    while (at := data.find(b"\xff", at)) >= 0:
        bound.count()
        at = _marker(data, at)
        if at >= len(data):
            break
        marker = data[at]
        at += 1
        if marker in _ALONE:
            continue
        if marker == _EOI:
            kept.append(b"\xff\xd9")
            break
        length = int.from_bytes(data[at : at + 2], "big")
        end = at + length
        if length < 2 or end > len(data):
            if scanned:
                break
            raise BrokenImage("the JPEG ends within a segment, or has one of no length")
        if marker == _SOS:
            found = _AFTER_SCAN.search(data, end)
            end = found.start() if found else len(data)
            scanned = True
        segment = _kept(marker, data[at + 2 : end], seen=turned)
        turned = turned or (marker == _EXIF[0] and bool(segment))
        if segment:
            kept += (
                bytes((0xFF, marker)),
                data[at : at + 2] if marker == _SOS else _length(segment),
                segment,
            )
        at = end
    if not scanned:
        raise BrokenImage("the JPEG has no pixels")
    return b"".join(kept)


def _marker(data: bytes, at: int) -> int:
    """Return the position of a marker's second byte; any number of bytes 0xFF may precede it."""
    while at < len(data) and data[at] == 0xFF:
        at += 1
    return at


def _kept(marker: int, content: bytes, *, seen: bool) -> bytes:
    """Return the part of a segment to keep, empty for none; `seen` if the orientation was written."""
    if marker in _DECODING or (marker, content[: len(b"ICC_PROFILE\0")]) == _KEPT[0]:
        return content
    if (marker, content[:5]) == _KEPT[1]:
        return content
    if (marker, content[:5]) == _JFIF and len(content) >= 14:
        return content[:12] + b"\0\0"  # without its thumbnail
    if (marker, content[:6]) == _EXIF and not seen and (bare := exif.bare(content[6:])):
        return _EXIF[1] + bare
    return b""


def _length(content: bytes) -> bytes:
    return (len(content) + 2).to_bytes(2, "big")
