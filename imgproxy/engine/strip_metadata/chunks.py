"""Chunks of PNG (W3C PNG §5) and WebP (RFC 9649): those of pixels, colour and animation are kept."""

from __future__ import annotations

import zlib

from imgproxy.engine.strip_metadata import exif
from imgproxy.engine.strip_metadata.numbers import Bound, number
from imgproxy.errors import BrokenImage

_PNG = frozenset(
    b"IHDR PLTE IDAT IEND tRNS gAMA cHRM sRGB iCCP cICP mDCV cLLI mDCv cLLi sBIT bKGD hIST pHYs sPLT"
    b" acTL fcTL fdAT".split()
)
_WEBP = frozenset((b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP"))
_PIXELS = frozenset((b"IDAT", b"fdAT", b"VP8 ", b"VP8L", b"ANMF"))
"""Chunks that stay when they are cut off: a damaged image is shown as far as it goes."""
_NO_METADATA = 0xFF ^ 0x08 ^ 0x04
"""Flags of VP8X without EXIF and XMP (RFC 9649 §2.7.1)."""


def strip_png(data: bytes) -> bytes:
    """Keep chunks up to IEND; of eXIf, the orientation."""
    bound, kept, at = Bound(), [data[:8]], 8
    while at + 8 <= len(data):
        bound.count()
        end = at + 12 + number(data, at, 4)
        kind = data[at + 4 : at + 8]
        if at == 8 and kind != b"IHDR":
            raise BrokenImage("the PNG does not begin with its header")
        if kind == b"eXIf" and (bare := exif.bare(data[at + 8 : end - 4])):
            kept.append(_png_chunk(kind, bare))
        elif kind in _PNG and (end <= len(data) or kind in _PIXELS):
            kept.append(data[at:end])
        if kind == b"IEND":
            break
        at = end
    if len(kept) < 2:
        raise BrokenImage("the PNG ends within its header")
    return b"".join(kept)


def strip_webp(data: bytes) -> bytes:
    """Keep chunks within the RIFF; of EXIF, the orientation."""
    stop = min(len(data), 8 + number(data, 4, 4, "little"))
    bound, kept, at = Bound(), [b"WEBP"], 12
    flags, oriented = 0, False
    while at + 8 <= stop:
        bound.count()
        size = number(data, at + 4, 4, "little")
        end = min(at + 8 + size + size % 2, stop)
        kind, whole = data[at : at + 4], at + 8 + size <= stop
        if kind == b"VP8X" and whole and size >= 10 and not flags:
            flags = len(kept)
        bare = exif.bare(_after_prefix(data[at + 8 : at + 8 + size])) if kind == b"EXIF" else b""
        if bare and not oriented:
            kept.append(b"EXIF" + len(bare).to_bytes(4, "little") + bare)
            oriented = True
        elif kind in _WEBP and (whole or kind in _PIXELS):
            kept.append(data[at:end])
        at = end
    if len(kept) < 2:
        raise BrokenImage("the WebP has no pixels")
    if flags:
        header = bytearray(kept[flags])
        header[8] = header[8] & _NO_METADATA | (0x08 if oriented else 0)
        kept[flags] = bytes(header)
    body = b"".join(kept)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")


def _after_prefix(content: bytes) -> bytes:
    """Some writers put JPEG's prefix before the EXIF of a WebP."""
    return content.removeprefix(b"Exif\0\0")
