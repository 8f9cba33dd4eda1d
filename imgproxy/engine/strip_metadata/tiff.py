"""Directories of TIFF 6.0 and BigTIFF: entries are taken out in place, so that no offset moves.

Tags that place a map on the earth (GeoTIFF) stay: there they are what the image is.
"""

from __future__ import annotations

from dataclasses import dataclass

from imgproxy.engine.strip_metadata.numbers import Bound, Order, Wiper, number
from imgproxy.errors import BrokenImage

_TEXTS = (269, 270, 271, 272, 285, 305, 306, 315, 316, 33432)
"""Names of document, camera, program, person and host, time, copyright."""
_BLOCKS = (700, 33723, 34377, 37724, 50735, 50740, 50827, 50971)
"""XMP, IPTC, Photoshop's two; of DNG: serial number, private data, name of the file, time."""
_DIRECTORIES = (34665, 34853, 40965)
"""EXIF, GPS, interoperability."""
_SUBDIRECTORIES = 330
_GOES = frozenset((*_TEXTS, *_BLOCKS, *_DIRECTORIES))
_SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
"""Bytes of a value by its type."""


@dataclass(frozen=True, slots=True)
class _Entry:
    tag: int
    at: int
    value: int
    """Where its value lies."""
    size: int
    """Bytes of its value."""
    width: int
    """Bytes of one number of it."""


class _Tiff:
    """A file whose directories are walked, each once."""

    def __init__(self, data: bytes) -> None:
        self.file = Wiper(data)
        self._order: Order = "little" if data[:2] == b"II" else "big"
        big = 43 in data[2:4]
        self._count, self._offset, self._entry = (8, 8, 20) if big else (2, 4, 12)
        self._first = 8 if big else 4
        self._seen: set[int] = set()
        self._bound = Bound()

    def strip(self) -> None:
        """Strip all pages, and the images below them."""
        waiting = [self._number(self._first, self._offset)]
        if not waiting[0]:
            raise BrokenImage("the TIFF has no pages")
        while waiting:
            at = waiting.pop()
            if at and at not in self._seen:
                waiting += self._strip(at)

    def _strip(self, at: int) -> list[int]:
        """Strip one directory; return where further ones are."""
        entries, end = self._directory(at)
        further = [self._number(end, self._offset)]
        for entry in entries:
            if entry.tag == _SUBDIRECTORIES:
                further += self._pointers(entry)
        kept = [entry for entry in entries if entry.tag not in _GOES]
        if len(kept) < len(entries):
            self._take_out(at, entries, kept, end)
        return further

    def _take_out(self, at: int, entries: list[_Entry], kept: list[_Entry], end: int) -> None:
        stay = b"".join(self.file.data[entry.at : entry.at + self._entry] for entry in kept)
        rest = self.file.data[end : end + self._offset]
        for entry in entries:
            if entry.tag in _GOES:
                self._wipe(entry)
        head = len(kept).to_bytes(self._count, self._order)
        self.file.wipe(at, end + self._offset, head + stay + rest)

    def _wipe(self, entry: _Entry) -> None:
        """Overwrite a value, with the directories that it points to."""
        waiting = [entry]
        while waiting:
            entry = waiting.pop()
            if entry.tag in _DIRECTORIES:
                for at in self._pointers(entry):
                    if at in self._seen or not 0 < at < len(self.file.data):
                        continue
                    below, end = self._directory(at)
                    waiting += below
                    self.file.wipe(at, end + self._offset)
            self.file.wipe(entry.value, entry.value + entry.size)

    def _directory(self, at: int) -> tuple[list[_Entry], int]:
        """Read a directory: its entries, and where the next one's offset is."""
        self._seen.add(at)
        count = self._number(at, self._count)
        end = at + self._count + count * self._entry
        if end > len(self.file.data):
            raise BrokenImage("the TIFF ends within a directory")
        self._bound.count(count)
        return [self._read(each) for each in range(at + self._count, end, self._entry)], end

    def _read(self, at: int) -> _Entry:
        width = _SIZES.get(self._number(at + 2, 2), 0)
        size = width * self._number(at + 4, self._offset)
        value = at + 4 + self._offset
        if size > self._offset:
            value = self._number(value, self._offset)
        return _Entry(self._number(at, 2), at, value, size, width)

    def _pointers(self, entry: _Entry) -> list[int]:
        if entry.width not in (4, 8):
            return []
        end = min(entry.value + entry.size, len(self.file.data)) - entry.width
        places = range(entry.value, end + 1, entry.width)
        self._bound.count(len(places))
        return [self._number(at, entry.width) for at in places]

    def _number(self, at: int, size: int) -> int:
        return number(self.file.data, at, size, self._order)


def strip(data: bytes) -> bytes:
    """Take entries out of every directory, and overwrite what they point to."""
    tiff = _Tiff(data)
    tiff.strip()
    return bytes(tiff.file.data)
