"""ICO and CUR, by Pillow: the largest image of the icon, of these the one with most colours.

The directory of an icon holds sides up to 256 and may lie, so the size is taken from the image's own header.
"""

from __future__ import annotations

import struct
from io import BytesIO

from imgproxy.engine.readers import pillow
from imgproxy.engine.readers.family import Opened, Reader, Source, prefixed
from imgproxy.engine.readers.still import Still
from imgproxy.errors import BrokenImage
from imgproxy.image.filters.base import Image
from imgproxy.image.formats import Format
from imgproxy.image.header import ImageHeader

_PNG = b"\x89PNG\r\n\x1a\n"


def _open(source: Source, format_: Format, _dpi: float) -> Opened:
    with pillow.translated():
        icon = pillow.IcoFile(BytesIO(source.data.replace(b"\0\0\2\0", b"\0\0\1\0", 1)))
        if not icon.entry:
            raise BrokenImage("the source image is damaged: the icon holds no image")
        best = max(range(len(icon.entry)), key=lambda at: (icon.entry[at].square, icon.entry[at].color_depth))
        width, height = _sides(source.data, icon.entry[best].offset)
    if min(width, height) < 1:
        raise BrokenImage("the source image is damaged: its header cannot be read")

    def decode() -> Image:
        with pillow.translated():
            frame = icon.frame(best)
        if frame.size != (width, height):  # a second IHDR, which Pillow heeds: the limits saw the first
            raise BrokenImage("the source image is damaged: its pixels cannot be decoded")
        return pillow.pixels(frame)

    return Still(ImageHeader(format_, width, height, alpha=True), decode)


def _sides(data: bytes, at: int) -> tuple[int, int]:
    """Width and height by a PNG's IHDR, or by a bitmap's header, whose height counts the mask as well."""
    if data.startswith(_PNG, at):
        width, height = struct.unpack_from(">II", data, at + 16)
        return int(width), int(height)
    width, height = struct.unpack_from("<ii", data, at + 4)
    return int(width), abs(int(height)) // 2


ICO = Reader("ico", (Format.ICO,), prefixed(Format.ICO, b"\0\0\1\0", b"\0\0\2\0"), _open)
