"""EXIF orientation: the one field needed to show an image (EXIF 2.32 §4.6.4)."""

from __future__ import annotations

from imgproxy.engine.strip_metadata.numbers import Order, number

_ORIENTATION = 0x0112
_SHORT = 3
_BARE = b"MM\0*\0\0\0\x08\0\1" + bytes((1, 0x12, 0, _SHORT, 0, 0, 0, 1))


def bare(exif: bytes, *, upright: bool = False) -> bytes:
    """Return EXIF of nothing but the orientation.

    Empty if `exif` is shorter, or the image is `upright` and that need not be written.
    """
    orientation = _orientation(exif)
    turned = 2 <= orientation <= 8
    made = _BARE + bytes((0, orientation if turned else 1, 0, 0, 0, 0, 0, 0))
    return made if upright or (turned and len(made) <= len(exif)) else b""


def _orientation(exif: bytes) -> int:
    """Read the first directory; 1 if it does not say, or is damaged."""
    order: Order = "little" if exif[:2] == b"II" else "big"
    try:
        at = number(exif, 4, 4, order)
        for entry in range(at + 2, at + 2 + 12 * number(exif, at, 2, order), 12):
            if number(exif, entry, 2, order) == _ORIENTATION:
                return number(exif, entry + 8, 2, order)
    except IndexError:
        pass
    return 1
