"""The image types we read and write, and what each can hold.

Capabilities are columns of one table, never ifs elsewhere. BMP, JPEG 2000, JPEG XL, PDF and HEIC are
absent because the bundled libvips cannot decode them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Format(StrEnum):
    """A type of image, by its name in URLs and in `/meta`."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    AVIF = "avif"
    GIF = "gif"
    TIFF = "tiff"
    SVG = "svg"


@dataclass(frozen=True, slots=True)
class Traits:
    """What a type can hold and how it is named; one row of the table."""

    mime: str
    extension: str
    loader: str
    """The libvips operation that opens it, without `_source`."""
    alpha: bool
    animation: bool
    lossy: bool
    """Has a `quality`."""
    written: bool = True


TRAITS: dict[Format, Traits] = {
    Format.JPEG: Traits("image/jpeg", "jpg", "jpegload", alpha=False, animation=False, lossy=True),
    Format.PNG: Traits("image/png", "png", "pngload", alpha=True, animation=False, lossy=False),
    Format.WEBP: Traits("image/webp", "webp", "webpload", alpha=True, animation=True, lossy=True),
    Format.AVIF: Traits("image/avif", "avif", "heifload", alpha=True, animation=False, lossy=True),
    Format.GIF: Traits("image/gif", "gif", "gifload", alpha=True, animation=True, lossy=False),
    Format.TIFF: Traits("image/tiff", "tiff", "tiffload", alpha=True, animation=False, lossy=False),
    Format.SVG: Traits(
        "image/svg+xml", "svg", "svgload", alpha=True, animation=False, lossy=False, written=False
    ),
}

ALIASES = {"jpg": Format.JPEG, "tif": Format.TIFF}
"""Other words for a type in URLs."""

WRITTEN = tuple(name for name, traits in TRAITS.items() if traits.written)


def parse_format(text: str) -> Format | None:
    """The type that a word in a URL names, if we write it."""
    return ALIASES.get(text) or next((each for each in WRITTEN if each == text), None)


def family(original: Format) -> Format:
    """What an original of this type is answered as when nobody chose: itself, if we write it."""
    return original if TRAITS[original].written else Format.PNG
