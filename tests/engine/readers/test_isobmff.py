"""The primary item's code points are found wherever the boxes may put them."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgproxy.engine.readers import isobmff
from tests.pictures import encoded, plain


def _reading(data: bytes) -> Callable[[int, int], bytes]:
    return lambda at, count: data[at : at + count]


def _box(kind: bytes, *parts: bytes, large: bool = False) -> bytes:
    body = b"".join(parts)
    if large:
        return struct.pack(">I4sQ", 1, kind, len(body) + 16) + body
    return struct.pack(">I4s", len(body) + 8, kind) + body


def _full(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *parts)


def _nclx(primaries: int, transfer: int) -> bytes:
    return _box(b"colr", b"nclx", struct.pack(">HHHB", primaries, transfer, 6, 0x80))


def _associations(entries: dict[int, list[int]], *, wide: bool) -> bytes:
    body = struct.pack(">I", len(entries))
    for item, indexes in entries.items():
        body += struct.pack(">IB" if wide else ">HB", item, len(indexes))
        for index in indexes:
            body += struct.pack(">H", index | 0x8000) if wide else bytes([index | 0x80])
    return _full(b"ipma", int(wide), int(wide), body)


def _file(
    *properties: bytes, primary: int, entries: dict[int, list[int]], wide: bool = False, before: bytes = b""
) -> bytes:
    pitm = _full(b"pitm", int(wide), 0, struct.pack(">I" if wide else ">H", primary))
    iprp = _box(b"iprp", _box(b"ipco", *properties), _associations(entries, wide=wide))
    meta = _full(b"meta", 0, 0, _full(b"hdlr", 0, 0, bytes(4), b"pict", bytes(13)), pitm, iprp)
    return _box(b"ftyp", b"avif", bytes(4), b"mif1") + before + meta + _box(b"mdat", bytes(40))


_SIZE = _full(b"ispe", 0, 0, struct.pack(">II", 8, 8))


@pytest.mark.parametrize("wide", [False, True])
def test_nclx_is_that_of_the_primary_item(wide: bool) -> None:
    boxes = (_SIZE, _nclx(1, 13), _nclx(12, 16))
    entries = {1: [1, 2], 7: [1, 3]}
    assert isobmff.nclx(_reading(_file(*boxes, primary=7, entries=entries, wide=wide))) == (12, 16)
    assert isobmff.nclx(_reading(_file(*boxes, primary=1, entries=entries, wide=wide))) == (1, 13)


def test_nclx_is_found_beside_a_profile_and_behind_pixels() -> None:
    boxes = (_box(b"colr", b"prof", bytes(30)), _nclx(9, 18))
    for before in (_box(b"mdat", bytes(100_000)), _box(b"free", bytes(10), large=True)):
        data = _file(*boxes, primary=1, entries={1: [1, 2]}, before=before)
        assert isobmff.nclx(_reading(data)) == (9, 18)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        _file(_SIZE, primary=1, entries={1: [1]}),
        _file(_SIZE, _nclx(12, 13), primary=1, entries={1: [1], 2: [2]}),
        _file(_box(b"colr", b"prof", bytes(30)), primary=1, entries={1: [1]}),
        _file(_nclx(12, 13)[:-5], primary=1, entries={1: [1]}),
        _file(_nclx(12, 13), primary=1, entries={1: [0, 9]}),
        _box(b"ftyp", b"avif") + _box(b"mdat", bytes(40)),
        _box(b"ftyp", b"avif") + struct.pack(">I4sQ", 1, b"free", 2**63) + bytes(99),
        _box(b"ftyp", b"avif") + struct.pack(">I4s", 2**31, b"meta"),
    ],
)
def test_nclx_of_a_file_without_is_none(data: bytes) -> None:
    assert isobmff.nclx(_reading(data)) is None


def test_nclx_of_what_libvips_writes() -> None:
    for lossless, expected in ((True, (1, 13)), (False, None)):
        data = encoded(plain(16, 16, (1, 2, 3)), ".avif", lossless=lossless)
        assert isobmff.nclx(_reading(data)) == expected


_WHOLE = _file(_SIZE, _nclx(12, 13), primary=1, entries={1: [1, 2]})


@given(st.integers(0, len(_WHOLE)), st.integers(0, len(_WHOLE) - 1), st.integers(0, 255))
def test_nclx_of_a_damaged_file_is_code_points_or_none(end: int, at: int, value: int) -> None:
    damaged = bytearray(_WHOLE)
    damaged[at] = value
    found = isobmff.nclx(_reading(bytes(damaged[:end])))
    assert found is None or len(found) == 2


@given(st.binary(max_size=300))
def test_nclx_of_any_meta_box_is_code_points_or_none(body: bytes) -> None:
    data = _box(b"ftyp", b"avif") + _box(b"meta", bytes(4), _box(b"iprp", body), body)
    assert isobmff.nclx(_reading(data)) in (None, (0, 0)) or body
