"""Numbers in containers, and bytes overwritten in place."""

from __future__ import annotations

from typing import Literal

from imgproxy.errors import BrokenImage

Order = Literal["big", "little"]
MOST_PARTS = 200_000
"""Segments, chunks, blocks, boxes or entries; a TIFF of 10,000 pages has about as many."""
_OVERWRITTEN = 4
"""Times the size of a file: entries that share their bytes could otherwise have them overwritten for ever."""


def number(data: bytes | bytearray, at: int, size: int, order: Order = "big") -> int:
    """Read an unsigned number; raise `IndexError` behind the end."""
    if at + size > len(data):
        raise IndexError(at)
    return int.from_bytes(data[at : at + size], order)


class Bound:
    """A limit of the parts of one file, so that tiny parts keep a worker no longer than a photo."""

    def __init__(self, most: int = MOST_PARTS) -> None:
        self._left = most

    def count(self, parts: int = 1) -> None:
        """Count parts; raise `BrokenImage` for more than there may be."""
        self._left -= parts
        if self._left < 0:
            raise BrokenImage("the image has too many parts for its metadata to be removed")


class Wiper:
    """A file whose parts are overwritten by zeros."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        self._left = _OVERWRITTEN * len(data)

    def wipe(self, start: int, end: int, by: bytes = b"") -> None:
        """Overwrite a stretch by some bytes, as far as they fit, and zeros; it ends with the file."""
        end = min(end, len(self.data))
        size = end - start
        if size <= 0:
            return
        self._left -= size
        if self._left < 0:
            raise BrokenImage("the same bytes are named as metadata over and over")
        self.data[start:end] = by[:size].ljust(size, b"\0")
