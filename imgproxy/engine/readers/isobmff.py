"""Colour of an AVIF's or HEIC's primary item, from its boxes (ISO/IEC 14496-12, 23008-12).

libvips gives the pixels and an ICC profile; the code points of an `nclx` colour box it leaves out. Pure: the
caller hands over how to read. Whatever is damaged or larger than stated counts as no colour box.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

Read = Callable[[int, int], bytes]
"""At most so many bytes from an offset."""

_BOXES = 64  # at the top of a file; real ones have 3 to 5
_META = 256 * 1024  # bytes; a grid of 512 tiles has about 40 KiB

_FILE = 2**40  # bytes; offsets beyond cannot be read at


def nclx(read: Read) -> tuple[int, int] | None:
    """Return colour primaries and transfer characteristics (ITU-T H.273), if the primary item has them."""
    meta = _meta(read)
    found = dict(_boxes(meta[4:]))  # a full box: version and flags come first
    properties = dict(_boxes(found.get(b"iprp", b"")))
    items = [kind + body for kind, body in _boxes(properties.get(b"ipco", b""))]
    for index in _associated(properties.get(b"ipma", b""), _primary(found.get(b"pitm", b""))):
        if 0 < index <= len(items) and items[index - 1].startswith(b"colrnclx"):
            box = items[index - 1]
            return (_number(box[8:10]), _number(box[10:12])) if len(box) >= 14 else None
    return None


def _meta(read: Read) -> bytes:
    """Find the `meta` box at the top of a file; empty if there is none."""
    at = 0
    for _ in range(_BOXES):
        head = read(at, 16)
        start, size = _size(head)
        if not start <= size <= _FILE:
            break
        if head[4:8] == b"meta":
            return read(at + start, size - start) if size <= _META else b""
        at += size
    return b""


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Split a box's content into boxes: type and content."""
    at = 0
    while at + 8 <= len(data):
        start, size = _size(data[at : at + 16])
        size = size or len(data) - at
        if size < start or at + size > len(data):
            return
        yield data[at + 4 : at + 8], data[at + start : at + size]
        at += size


def _size(head: bytes) -> tuple[int, int]:
    """Return the bytes of a box's header and of the whole box (§4.2); 0 means up to the end."""
    if len(head) < 8:
        return 8, 0
    size = _number(head[:4])
    return (16, _number(head[8:16])) if size == 1 else (8, size)


def _primary(pitm: bytes) -> int:
    """Return the primary item's number (23008-12 §8.11.4)."""
    return _number(pitm[4:8] if pitm[:1] > b"\0" else pitm[4:6])


def _associated(ipma: bytes, item: int) -> list[int]:
    """Return the numbers, from 1, of an item's properties (23008-12 §9.3.1)."""
    if len(ipma) < 8:
        return []
    wide_item, wide_index = (4 if ipma[0] else 2), (2 if ipma[3] & 1 else 1)
    at = 8
    for _ in range(min(_number(ipma[4:8]), len(ipma))):
        number, count = _number(ipma[at : at + wide_item]), _number(ipma[at + wide_item : at + wide_item + 1])
        at += wide_item + 1
        end = at + count * wide_index
        if number == item:
            entries = [_number(ipma[each : each + wide_index]) for each in range(at, end, wide_index)]
            return [entry & (0x7FFF if wide_index == 2 else 0x7F) for entry in entries]
        at = end
        if at >= len(ipma):
            break
    return []


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")
