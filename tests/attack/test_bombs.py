"""Few bytes that claim or unfold to many pixels: each is refused or drawn small, and the next request served.

`tests/edge/test_hostile.py` has those of a folder of good and bad images; these are what headers can claim.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import pytest
from PIL import Image

from tests.attack.server import Attacked
from tests.engine.readers.files import pdf
from tests.pictures import png_header, svg

MEGA = 1024**2


def inflating(megabytes: int) -> bytes:
    """What inflates to so many megabytes of zeros."""
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    block = packer.compress(bytes(MEGA)) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = struct.pack(">HH", megabytes * MEGA % 65_521, 1)
    return b"\x78\xda" + block * megabytes + b"\3\0" + checksum


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of 8×8 with chunks between its header and its pixels."""
    whole = png_header(8, 8)
    between = b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    return whole[:33] + between + whole[33:]


def gif(width: int, height: int, frames: int) -> bytes:
    frame = (
        b"\x21\xf9\x04\0\x01\0\0\0" + b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    )
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6) + frame * frames + b"\x3b"


def tiff(width: int, height: int, *, loop: bool = False) -> bytes:
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    entries += [(273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, 8)]
    ifd = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *each) for each in entries)
    return b"II*\0" + struct.pack("<I", 16) + bytes(8) + ifd + struct.pack("<I", 16 if loop else 0)


def webp(width: int, height: int, frames: int = 0) -> bytes:
    size = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    animated = b"ANIM\x06\0\0\0" + bytes(6) + (b"ANMF\x10\0\0\0" + bytes(6) + size + bytes(4)) * frames
    body = b"WEBPVP8X\x0a\0\0\0" + bytes([2 if frames else 0, 0, 0, 0]) + size + (animated if frames else b"")
    return b"RIFF" + struct.pack("<I", len(body)) + body


def jpeg(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (16, 16)).save(stream, "JPEG", progressive=True)
    whole = bytearray(stream.getvalue())
    at = whole.index(b"\xff\xc2") + 5
    whole[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(whole)


def bmp(width: int, height: int, compression: int = 1) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, compression, 0, 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 1100, 0, 0, 1078) + info + bytes(1024) + b"\xff\0" * 20 + b"\0\1"


def ico(entries: int) -> bytes:
    entry = struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, 1000, 22)
    return struct.pack("<HHH", 0, 1, entries) + entry * min(entries, 4000) + png_header(256, 256)


def jpeg2000(width: int, height: int) -> bytes:
    size = struct.pack(">HIIIIIIIIH", 0, width, height, 0, 0, 1, 1, 0, 0, 3) + b"\7\1\1" * 3
    return b"\xff\x4f\xff\x51" + struct.pack(">H", len(size) + 2) + size + bytes(64)


def avif(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (64, 64)).save(stream, "AVIF")
    whole = bytearray(stream.getvalue())
    at = whole.index(b"ispe") + 8
    whole[at : at + 8] = struct.pack(">II", width, height)
    return bytes(whole)


LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "%b">' % (98 + n, (b"&%c;" % (97 + n)) * 10) for n in range(9))
    + b']><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text>&j;</text></svg>'
)
BOMBS: dict[str, Callable[[], bytes]] = {
    "PNG with 256 MiB of text": lambda: png((b"zTXt", b"k\0\0" + inflating(256))),
    "PNG with international text": lambda: png((b"iTXt", b"k\0\1\0\0\0" + inflating(64))),
    "PNG with 64 MiB of profile": lambda: png((b"iCCP", b"k\0\0" + inflating(64))),
    "PNG with 50,000 chunks": lambda: png(*[(b"tEXt", b"k\0v")] * 50_000),
    "PNG of 2**31": lambda: png_header(2**31 - 1, 1),
    "PNG of no height": lambda: png_header(10, 0),
    "GIF screen of 65535": lambda: gif(65_535, 65_535, 1),
    "GIF of 5,000 frames": lambda: gif(2000, 2000, 5000),
    "TIFF of 2**32": lambda: tiff(2**32 - 1, 2**32 - 1),
    "TIFF of 100,000": lambda: tiff(100_000, 100_000),
    "TIFF whose directory is its next": lambda: tiff(16, 16, loop=True),
    "WebP canvas of 16384": lambda: webp(16_384, 16_384),
    "WebP of 1,000 frames": lambda: webp(4000, 4000, 1000),
    "JPEG of 65500": lambda: jpeg(65_500, 65_500),
    "JPEG of 7000 in 16": lambda: jpeg(7000, 7000),
    "BMP of 30000 in 40 bytes": lambda: bmp(30_000, 30_000),
    "BMP of negative sides": lambda: bmp(-30_000, -(2**31)),
    "BMP of 7000 in 40 bytes": lambda: bmp(7000, 7000),
    "ICO of 65535": lambda: ico(65_535),
    "JPEG 2000 of 2**31": lambda: jpeg2000(2**31, 2**31),
    "AVIF of 65535": lambda: avif(65_535, 65_535),
    "PDF page of a million": lambda: pdf(1_000_000, 1_000_000, ""),
    "SVG of a billion": lambda: svg("", 'width="1000000000" height="1000000000"'),
    "SVG view box of nothing": lambda: svg("", 'viewBox="0 0 1e308 1e-308" width="1e9"'),
    "SVG of laughs": lambda: LAUGHS,
    "SVG 100,000 deep": lambda: svg("<g>" * 100_000 + "</g>" * 100_000, 'width="9" height="9"'),
    "SVG that uses itself": lambda: svg('<g id="a"><use href="#a"/></g>', 'width="9" height="9"'),
    "SVG of a filter": lambda: svg(
        '<filter id="f"><feGaussianBlur stdDeviation="1e9"/></filter>'
        '<rect filter="url(#f)" width="9" height="9"/>',
        'width="9" height="9"',
    ),
    "SVG of other images": lambda: svg(
        '<image xlink:href="http://127.0.0.1:1/x.png" width="9" height="9"/>', 'width="9" height="9"'
    ),
    "one byte": lambda: b"\xff",
    "signatures of all types": lambda: b"\x89PNG\r\n\x1a\nGIF89a\xff\xd8\xff%PDF-II*\0RIFFWEBP",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bomb_is_refused_or_small_and_hurts_nobody(edge: Attacked, name: str) -> None:
    key = f"{name.replace(' ', '-').replace('*', '')}.bin"
    edge.store(key, BOMBS[name]())
    response = edge.request(f"/fit-in/40x40/filters:format(png)/{key}")
    assert response.status in (200, 413, 415, 422), response
    assert len(response.body) < 10_000
    meta = edge.request(f"/meta/{key}")
    assert meta.status in (200, 413, 415, 422), meta
    assert edge.request("/fit-in/41x41/photo.jpg").status == 200
    assert edge.request("/readyz").status == 200
