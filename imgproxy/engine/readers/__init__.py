"""The readers there are, and which of them reads a file: its first bytes decide, never libvips's priorities.

libvips would give a JPEG with a gain map to its Ultra HDR loader, which is not in the bundle, and a HEIC to
one that has no HEVC decoder.
"""

from __future__ import annotations

import os
from collections.abc import Collection

from imgproxy.engine import vips
from imgproxy.engine.readers.bmp import BMP
from imgproxy.engine.readers.family import Opened, Reader, Source
from imgproxy.engine.readers.heic import HEIC
from imgproxy.engine.readers.ico import ICO
from imgproxy.engine.readers.jpeg2000 import JPEG2000
from imgproxy.engine.readers.jpegxl import JPEGXL
from imgproxy.engine.readers.libvips import LIBVIPS
from imgproxy.engine.readers.pdf import PDF
from imgproxy.errors import BrokenImage, UnsupportedImage

ALL: tuple[Reader, ...] = (LIBVIPS, HEIC, BMP, ICO, JPEG2000, JPEGXL, PDF)


def describe() -> tuple[str, tuple[str, ...]]:
    """Return the version of libvips, and the formats that can be read."""
    libvips, readable = vips.describe()
    return libvips, (*readable, *(name for reader in ALL if reader is not LIBVIPS for name in reader.formats))


def open_image(descriptor: int, *, dpi: float = 72, without: Collection[str] = ()) -> Opened:
    """Read a header; raise `UnsupportedImage` or `BrokenImage`. The descriptor stays the caller's.

    `dpi` is the size of pages that are measured in points; `without` names readers that are turned off.
    """
    source = Source(descriptor)
    if os.fstat(descriptor).st_size == 0:
        raise BrokenImage("the source image is empty: it has no bytes")
    able = [reader for reader in ALL if reader.name not in without]
    for reader in able:
        format_ = reader.claims(source.first)
        if format_ is not None:
            return reader.open(source, format_, dpi)
    names = ", ".join(name for reader in able for name in reader.formats)
    raise UnsupportedImage(f"the source image is not of a type we read: {names}")
