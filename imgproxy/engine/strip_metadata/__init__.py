"""Personal metadata taken out of images, without touching a pixel: from bytes to bytes.

EXIF but its orientation, XMP, IPTC, comments and trailing bytes are removed; pixels, colour profiles and
animation stay as they are, to the byte. The result is never longer. Pure but for `render`: a stranger's
containers are parsed here, so this runs in workers alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from imgproxy.engine.strip_metadata import boxes, chunks, gif, jpeg, tiff
from imgproxy.engine.worker_protocol import Rendered
from imgproxy.errors import BrokenImage, UnsupportedImage
from imgproxy.image import heif_brands
from imgproxy.image.formats import STRIPPED, Format

_STRIP: dict[Format, Callable[[bytes], bytes]] = {
    Format.JPEG: jpeg.strip,
    Format.PNG: chunks.strip_png,
    Format.WEBP: chunks.strip_webp,
    Format.GIF: gif.strip,
    Format.TIFF: tiff.strip,
    Format.AVIF: boxes.strip_heif,
    Format.HEIC: boxes.strip_heif,
    Format.JP2: boxes.strip_codestream,
    Format.JXL: boxes.strip_codestream,
}
_MARKS = (  # offset, bytes, type
    (0, b"\xff\xd8\xff", Format.JPEG),
    (0, b"\x89PNG\r\n\x1a\n", Format.PNG),
    (8, b"WEBPVP", Format.WEBP),
    (0, b"GIF8", Format.GIF),
    *((0, mark, Format.TIFF) for mark in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    *((0, mark, Format.JP2) for mark in (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")),
    *((0, mark, Format.JXL) for mark in (b"\0\0\0\x0cJXL ", b"\xff\x0a")),
)


def strip(data: bytes) -> tuple[Format, bytes]:
    """Return an image's type, and the image without personal metadata.

    Raise `BrokenImage` for a damaged container and `UnsupportedImage` for a type that is not in `STRIPPED`.
    """
    format_ = _format(data)
    if format_ is None:
        raise UnsupportedImage(f"metadata is removed of {', '.join(STRIPPED)} alone")
    try:
        return format_, _STRIP[format_](data)
    except IndexError:  # a number was to be read behind the end
        raise BrokenImage(f"the {format_} ends within its metadata") from None


def render(source: int | None, result: int) -> Rendered:
    """Strip the image of a descriptor into another."""
    if source is None:
        raise UnsupportedImage("an image is expected")
    format_, stripped = strip(os.pread(source, os.fstat(source).st_size, 0))
    rest = memoryview(stripped)
    while rest:
        rest = rest[os.write(result, rest) :]
    return Rendered(format_, 0, 0, 0, len(stripped), 0, 0)


def _format(data: bytes) -> Format | None:
    if data[4:8] == b"ftyp":
        return Format.AVIF if heif_brands.is_avif(data[:4096]) else Format.HEIC
    return next((format_ for at, mark, format_ in _MARKS if data.startswith(mark, at)), None)
