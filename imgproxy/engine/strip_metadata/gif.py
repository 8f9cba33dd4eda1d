"""Blocks of GIF (GIF89a §14 on): comments go, and extensions of applications but loop and colour profile."""

from __future__ import annotations

from imgproxy.engine.strip_metadata.numbers import Bound
from imgproxy.errors import BrokenImage

_IMAGE, _EXTENSION, _TRAILER = 0x2C, 0x21, 0x3B
_APPLICATION, _COMMENT = 0xFF, 0xFE
_KEPT = (b"NETSCAPE2.0", b"ANIMEXTS1.0", b"ICCRGBG1012")


def strip(data: bytes) -> bytes:
    """Keep everything else, up to the trailer; an image that is cut off stays as long as it is."""
    at = 13 + _table(data[10])
    bound, kept = Bound(), [data[:at]]
    while at < len(data) and data[at] in (_IMAGE, _EXTENSION):
        bound.count()
        if data[at] == _IMAGE:
            if at + 10 > len(data):
                break
            end = _after(data, at + 11 + _table(data[at + 9]))
        else:
            end = _after(data, at + 2)
            if at + 2 >= len(data) or _goes(data, at):
                at = end
                continue
        kept.append(data[at:end])
        at = end
    if at < len(data) and data[at] == _TRAILER:
        kept.append(data[at : at + 1])
    if len(kept) < 2:
        raise BrokenImage("the GIF has no pixels")
    return b"".join(kept)


def _goes(data: bytes, at: int) -> bool:
    label = data[at + 1]
    return label == _COMMENT or (label == _APPLICATION and data[at + 3 : at + 14] not in _KEPT)


def _table(flags: int) -> int:
    """Return the bytes of the colour table that flags declare."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after(data: bytes, at: int) -> int:
    """Go behind sub-blocks, or to the end of a file that ends within them."""
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return min(at + 1, len(data))
