"""Image types, their names and capabilities.

Capabilities are columns of one table, never ifs elsewhere. The libraries are known to the readers alone
(`engine.readers`).
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
    HEIC = "heic"
    BMP = "bmp"
    ICO = "ico"
    JP2 = "jp2"
    JXL = "jxl"
    PDF = "pdf"


@dataclass(frozen=True, slots=True)
class Traits:
    """Names and capabilities of a type; one row of the table."""

    mime: str
    extension: str
    alpha: bool
    animation: bool
    lossy: bool
    """Has a `quality`."""
    written: bool = True
    vector: bool = False
    """Drawn at any size, so nothing is lost by enlarging, and only what is drawn counts as pixels."""
    photo: bool = False
    """Responded as JPEG where opaque and not written itself; other types as PNG."""
    decode_ns: int = 5
    """Nanoseconds of CPU time per pixel that is decoded (`image.cost`)."""
    encode_ns: int = 0
    """The same for encoding, at the least effort."""
    encode_bytes: float = 0
    """Memory that the encoder takes per pixel of one frame, at the least."""


def _read_only(
    mime: str, extension: str, *, vector: bool = False, photo: bool = False, decode_ns: int = 5
) -> Traits:
    return Traits(
        mime, extension, alpha=True, animation=False, lossy=False, written=False, vector=vector, photo=photo,
        decode_ns=decode_ns,
    )  # fmt: skip


TRAITS: dict[Format, Traits] = {
    Format.JPEG: Traits(
        "image/jpeg", "jpg", alpha=False, animation=False, lossy=True, encode_ns=3, encode_bytes=0.2
    ),
    Format.PNG: Traits(
        "image/png", "png", alpha=True, animation=False, lossy=False, decode_ns=14, encode_ns=40,
        encode_bytes=0.2,
    ),
    Format.WEBP: Traits(
        "image/webp", "webp", alpha=True, animation=True, lossy=True, decode_ns=17, encode_ns=80,
        encode_bytes=6,
    ),
    Format.AVIF: Traits(
        "image/avif", "avif", alpha=True, animation=False, lossy=True, decode_ns=30, encode_ns=45,
        encode_bytes=20,
    ),
    Format.GIF: Traits(
        "image/gif", "gif", alpha=True, animation=True, lossy=False, decode_ns=10, encode_ns=200,
        encode_bytes=20,
    ),
    Format.TIFF: Traits(
        "image/tiff", "tiff", alpha=True, animation=False, lossy=False, encode_ns=10, encode_bytes=0.3
    ),
    Format.SVG: _read_only("image/svg+xml", "svg", vector=True),
    Format.HEIC: _read_only("image/heic", "heic", photo=True, decode_ns=22),
    Format.BMP: _read_only("image/bmp", "bmp"),
    Format.ICO: _read_only("image/x-icon", "ico"),
    Format.JP2: _read_only("image/jp2", "jp2", photo=True, decode_ns=39),
    Format.JXL: _read_only("image/jxl", "jxl", photo=True, decode_ns=21),
    Format.PDF: _read_only("application/pdf", "pdf", vector=True),
}  # fmt: skip

STRIPPED = (
    Format.JPEG,
    Format.PNG,
    Format.WEBP,
    Format.GIF,
    Format.TIFF,
    Format.AVIF,
    Format.HEIC,
    Format.JP2,
    Format.JXL,
)
"""Types whose personal metadata can be removed without touching a pixel (`engine.strip_metadata`)."""

READERS: dict[str, tuple[Format, ...]] = {
    "libvips": (Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF, Format.GIF, Format.TIFF, Format.SVG),
    "heic": (Format.HEIC,),
    "bmp": (Format.BMP,),
    "ico": (Format.ICO,),
    "jpeg2000": (Format.JP2,),
    "jpegxl": (Format.JXL,),
    "pdf": (Format.PDF,),
}
"""Types by the name of their reader; a test compares them with `engine.readers`."""

ALIASES = {"jpg": Format.JPEG, "tif": Format.TIFF}
"""Other names of a type in URLs."""

WRITTEN = tuple(name for name, traits in TRAITS.items() if traits.written)


def parse_format(text: str) -> Format | None:
    """Return the type of a name in a URL, if it can be written."""
    return ALIASES.get(text) or next((each for each in WRITTEN if each == text), None)


def family(original: Format, *, alpha: bool) -> Format:
    """Return the type of a response without a choice: the source's own, if it can be written."""
    traits = TRAITS[original]
    if traits.written:
        return original
    return Format.JPEG if traits.photo and not alpha else Format.PNG
