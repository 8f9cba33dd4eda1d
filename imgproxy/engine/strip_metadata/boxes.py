"""Boxes (ISO/IEC 14496-12): HEIC and AVIF are overwritten in place, JP2 and JPEG XL lose whole boxes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from imgproxy.engine.strip_metadata import exif
from imgproxy.engine.strip_metadata.numbers import Bound, Wiper, number
from imgproxy.errors import BrokenImage

_TOP = frozenset(b"ftyp meta mdat moov moof mfra sidx styp free skip wide".split())
_PERSONAL = frozenset((b"uuid", b"udta", b"xml ", b"bxml"))
_CODESTREAM = frozenset(b"ftyp|JXL |jxll|jxlc|jxlp|jxli|jP  |jp2h|jp2c|rreq|jpch|jplh".split(b"|"))
_ITEMS = (b"Exif", b"mime")
"""EXIF, and XMP (23008-12 annex A)."""
_DEEPEST = 3


class _Box(NamedTuple):
    kind: bytes
    at: int
    start: int
    """Of its content."""
    end: int


class _Extent(NamedTuple):
    method: int
    start: int
    size: int


def strip_codestream(data: bytes) -> bytes:
    """Keep the boxes of JP2 and JPEG XL that show an image; a bare codestream has no others."""
    if data[:2] in (b"\xff\x4f", b"\xff\x0a"):
        return data
    return b"".join(data[box.at : box.end] for box in _boxes(data, 0, len(data)) if box.kind in _CODESTREAM)


def strip_heif(data: bytes) -> bytes:
    """Overwrite EXIF and XMP of HEIC and AVIF, and boxes that are neither pixels nor their description."""
    file = Wiper(data)
    for box in _boxes(data, 0, len(data)):
        if box.kind == b"meta":
            _strip_meta(file, data, box)
        elif box.kind == b"moov":
            _strip_below(file, data, box, 0)
        elif box.kind not in _TOP:
            _free(file, box)
    return bytes(file.data)


def _strip_below(file: Wiper, data: bytes, outer: _Box, depth: int) -> None:
    for box in _boxes(data, outer.start, outer.end):
        if box.kind in _PERSONAL or box.kind == b"meta":
            _free(file, box)
        elif box.kind == b"trak" and depth < _DEEPEST:
            _strip_below(file, data, box, depth + 1)


def _strip_meta(file: Wiper, data: bytes, meta: _Box) -> None:
    below = list(_boxes(data, meta.start + 4, meta.end))  # a full box: version and flags come first
    found = {box.kind: box for box in below}
    for box in below:
        if box.kind in _PERSONAL:
            _free(file, box)
    if b"iinf" not in found or b"iloc" not in found:
        return
    kinds = dict(_items(data, found[b"iinf"]))
    idat = found.get(b"idat")
    for item, extents in _locations(data, found[b"iloc"]):
        if kinds.get(item) in _ITEMS:
            _overwrite(file, data, [_absolute(each, idat) for each in extents], kinds[item])


def _absolute(extent: _Extent, idat: _Box | None) -> _Extent:
    """Position of an extent in the file."""
    if extent.method == 1 and idat is not None:
        return _Extent(0, idat.start + extent.start, extent.size)
    if extent.method or not extent.size:
        raise BrokenImage("the metadata of the image lies where it cannot be removed")
    return extent


def _overwrite(file: Wiper, data: bytes, extents: list[_Extent], kind: bytes) -> None:
    """Overwrite an item; EXIF becomes EXIF of the orientation alone, for decoders refuse what is none."""
    for number_, (_, start, size) in enumerate(extents):
        instead = b""
        if kind == b"Exif" and not number_:
            skipped = 4 + int.from_bytes(data[start : start + 4], "big")
            instead = bytes(4) + exif.bare(data[start + skipped : start + size], upright=True)
        file.wipe(start, start + size, instead)


def _free(file: Wiper, box: _Box) -> None:
    """Let a box be free space."""
    file.wipe(box.start, box.end)
    file.data[box.at + 4 : box.at + 8] = b"free"


def _boxes(data: bytes, at: int, stop: int) -> Iterator[_Box]:
    """Read boxes one after the other; one of size 0 reaches to the end (§4.2)."""
    bound = Bound()
    while at + 8 <= stop:
        bound.count()
        size, start = number(data, at, 4), at + 8
        if size == 1:
            size, start = number(data, at + 8, 8), at + 16
        end = at + size if size else stop
        if not start <= end <= stop:
            raise BrokenImage("the image ends within a box")
        yield _Box(data[at + 4 : at + 8], at, start, end)
        at = end


def _items(data: bytes, iinf: _Box) -> Iterator[tuple[int, bytes]]:
    """Number and type of each item (§8.11.6)."""
    first = iinf.start + (8 if data[iinf.start : iinf.start + 1] > b"\0" else 6)
    for box in _boxes(data, first, iinf.end):
        version = data[box.start]
        if box.kind == b"infe" and version >= 2:
            wide = 4 if version >= 3 else 2
            at = box.start + 4 + wide + 2
            yield number(data, box.start + 4, wide), data[at : at + 4]


def _locations(data: bytes, iloc: _Box) -> Iterator[tuple[int, list[_Extent]]]:
    """Number and extents of each item (§8.11.3)."""
    version, at = data[iloc.start], iloc.start + 4
    offsets, lengths, bases, indices = (
        data[at] >> 4, data[at] & 15, data[at + 1] >> 4, data[at + 1] & 15 if version else 0,
    )  # fmt: skip
    wide = 4 if version >= 2 else 2
    bound, step = Bound(), indices + offsets + lengths
    items, at = number(data, at + 2, wide), at + 2 + wide
    for _ in range(items):
        item, at = number(data, at, wide), at + wide
        method, at = (number(data, at, 2) & 15, at + 2) if version else (0, at)
        base, at = number(data, at + 2, bases), at + 2 + bases
        count, at = number(data, at, 2), at + 2
        bound.count(count + 1)
        if at + count * step > iloc.end:
            raise BrokenImage("the image ends within the list of its items")
        extents = []
        for _ in range(count):
            start = number(data, at + indices, offsets)
            extents.append(_Extent(method, base + start, number(data, at + indices + offsets, lengths)))
            at += step
        yield item, extents
