"""Door to libvips: its configuration, opening of sources, writing of results.

Its errors become ours in this doorway, in our words: libvips names files, operations and addresses, which
is nothing for an asker. Filters and steps call methods on the images they are handed and import nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pyvips

from imgproxy.errors import BrokenImage, DeadlinePassed, EngineFailed, ImageTooLarge
from imgproxy.image.colour import Colour
from imgproxy.image.filters.base import Image
from imgproxy.image.formats import TRAITS, WRITTEN, Format
from imgproxy.image.header import ImageHeader

OLDEST = (8, 18, 7)
"""Older ones have known holes in loaders that we use (CVE-2026-69242 and others, mended by 8.18.7)."""

_LOADERS = {
    Format.JPEG: "jpegload",
    Format.PNG: "pngload",
    Format.WEBP: "webpload",
    Format.AVIF: "heifload",
    Format.GIF: "gifload",
    Format.TIFF: "tiffload",
    Format.SVG: "svgload",
}
_PAGED = (Format.GIF, Format.WEBP, Format.TIFF)
_SCARCE = re.compile("out of memory|insufficient memory|allocat|bufferpool|file too large")
"""In errors of libvips, libjpeg, libheif, libaom, and of a result that is longer than may be written."""
_CSS_DPI = 96
_BYTES = {
    "uchar": 1,
    "char": 1,
    "ushort": 2,
    "short": 2,
    "uint": 4,
    "int": 4,
    "float": 4,
    "double": 8,
    "complex": 8,
    "dpcomplex": 16,
}
"""Bytes of one number of each band format."""
_FINEST = 10_000  # pixels; a drawing's sides are measured at this size
_PARTIAL = (Format.JPEG, Format.PNG, Format.GIF, Format.TIFF)  # decode row by row, or nearly so
_MADE_UP = 48
"""Pixels: libjpeg makes up the first block it has no bytes for, and smoothing spreads that by two blocks."""


def version() -> tuple[int, int, int]:
    """Return the version of the loaded libvips."""
    return pyvips.version(0), pyvips.version(1), pyvips.version(2)


def describe() -> tuple[str, tuple[str, ...]]:
    """Return the version as text, and the formats that this libvips can read."""
    readable = tuple(name for name, loader in _LOADERS.items() if _exists(f"{loader}_source"))
    return _dotted(version()), readable


def _dotted(parts: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in parts)


def _exists(operation: str) -> bool:
    return bool(pyvips.type_find("VipsOperation", operation))


def prepare() -> None:
    """Tell libvips how to behave; makes no thread, so the sandbox can be shut right after.

    The operation cache would keep one request's pixels for another's. SVG is blocked with the untrusted
    loaders; it is let in again because it is drawn in the sandbox only. One thread a worker: as many
    workers run as there are cores, and threads within one image would only wait for each other.
    Raise `EngineFailed` for a libvips that is too old.
    """
    if version() < OLDEST:
        raise EngineFailed(
            f"libvips {_dotted(version())} is loaded, and {_dotted(OLDEST)} or newer is needed; "
            "pip install --no-deps --force-reinstall pyvips-binary mends it"
        )
    pyvips.cache_set_max(0)
    pyvips.block_untrusted_set(True)
    pyvips.operation_block_set("VipsForeignLoadSvg", False)
    pyvips.concurrency_set(1)


def warm() -> None:
    """Write and read one small image of each type, so that no request pays for first use."""
    image = pyvips.Image.black(64, 64, bands=3).copy(interpretation="srgb")
    for name in WRITTEN:
        traits = TRAITS[name]
        data = image.write_to_buffer(f".{traits.extension}")
        loaded = getattr(pyvips.Image, f"{_LOADERS[name]}_buffer")(data)
        loaded.resize(0.5).icc_transform("srgb", input_profile="srgb").copy_memory()
    image.smartcrop(32, 32, interesting="attention").copy_memory()
    draw_svg('<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>').copy_memory()


@dataclass(frozen=True, slots=True)
class Opened:
    """Source whose header was read and whose pixels were not; see `readers.family.Opened`."""

    source: Any
    facts: ImageHeader
    lenient: bool = False
    """Whether rows that do not decode are left empty, instead of failing."""

    def page(self, number: int) -> Opened:
        """Return the same source opened at another page, from 0; pages of a TIFF differ in size."""
        return turn_to(self, number)

    def load(self, *, shrink: float, first: int, count: int, sequential: bool) -> Image:
        """Set up decoding."""
        return load(self, shrink=shrink, first=first, count=count, sequential=sequential)


def open_image(descriptor: int, format_: Format) -> Opened:
    """Read the header of a format detected from the first bytes; raise `BrokenImage`.

    The descriptor stays the caller's.
    """
    with _translated("its header cannot be read"):
        source = pyvips.Source.new_from_descriptor(descriptor)
        return Opened(source, _drawn(source) if format_ is Format.SVG else _facts(_header(source, format_)))


def _header(source: Any, format_: Format, **options: Any) -> Image:
    return pyvips.Operation.call(f"{_LOADERS[format_]}_source", source, access="sequential", **options)


def _facts(header: Image) -> ImageHeader:
    loader = _field(header, "vips-loader", "").removesuffix("_source")
    format_ = next(name for name, each in _LOADERS.items() if each == loader)
    pages = int(_field(header, "n-pages", 1)) if format_ in _PAGED else 1
    orientation = int(_field(header, "orientation", 1))
    return ImageHeader(
        format=format_,
        width=header.width,
        height=int(_field(header, "page-height", header.height)),
        pages=max(pages, 1),
        orientation=orientation if 1 <= orientation <= 8 and pages <= 1 else 1,
        alpha=bool(header.hasalpha()),
    )


def _drawn(source: Any) -> ImageHeader:
    """Return a drawing's header. Its sides may be fractions, which a rounding loader shows when enlarging."""
    try:
        rough = _header(source, Format.SVG, **_at(1))
        scale = max(1.0, _FINEST / max(rough.width, rough.height))
    except pyvips.Error:  # smaller than a pixel
        scale = _FINEST / 10
    fine = _header(source, Format.SVG, **_at(scale))
    sides = tuple(_whole(side / scale, 1 / scale) for side in (fine.width, fine.height))
    width, height = (max(1, round(side)) for side in sides)
    return ImageHeader(
        Format.SVG,
        width,
        height,
        alpha=True,
        exact=None if sides == (width, height) else (sides[0], sides[1]),
    )


def _whole(side: float, unsure: float) -> float:
    return round(side) if abs(side - round(side)) <= unsure else side


def _at(scale: float) -> dict[str, float]:
    """Return the loader's options for an SVG: CSS has 96 pixels to the inch; libvips scales from 72."""
    return {"dpi": _CSS_DPI, "scale": scale * 72 / _CSS_DPI}


def _field(image: Image, name: str, otherwise: Any) -> Any:
    return image.get(name) if image.get_typeof(name) else otherwise


def turn_to(opened: Opened, page: int) -> Opened:
    """Return the same source opened at another page, from 0; pages of a TIFF differ in size."""
    if page == 0 or opened.facts.format is not Format.TIFF:
        return opened
    with _translated():
        facts = _facts(_header(opened.source, Format.TIFF, page=page))
        return replace(opened, facts=facts)


def load(opened: Opened, *, shrink: float, first: int, count: int, sequential: bool) -> Image:
    """Set up decoding of `count` frames from `first`, shrunk by what the type's decoder does itself.

    Warnings pass; truncation and errors fail, so half an image is never taken for a whole one, unless
    `opened` is lenient.
    """
    facts = opened.facts
    options: dict[str, Any] = {
        "access": "sequential" if sequential and count == 1 else "random",
        "fail_on": "none" if opened.lenient else "error",
    }
    if facts.format in _PAGED:
        options |= {"page": first, "n": count}
    if facts.format is Format.JPEG and shrink > 1:
        options["shrink"] = int(shrink)
    elif facts.format is Format.WEBP and shrink != 1:
        options["scale"] = 1 / shrink
    elif facts.format is Format.SVG:
        options |= _at(1 / shrink)
    with _translated():
        operation = f"{_LOADERS[facts.format]}_source"
        image = pyvips.Operation.call(operation, opened.source, **options)
        _count_frames(image, first, count)
        return image


def size_of(image: Image) -> int:
    """Return the bytes of an image's pixels in memory."""
    return int(image.width * image.height * image.bands * _BYTES[image.format])


def decode(image: Image) -> None:
    """Decode every pixel and drop it; raise `BrokenImage` if that fails."""
    with _translated():
        image.avg()


def shows(opened: Opened, *, first: int, count: int, stop: Callable[[object], None]) -> bool:
    """Return whether at least one row of a damaged image decodes.

    GIF and progressive JPEG decode all rows or none, so there an image of more than one colour counts.
    """
    format_ = opened.facts.format
    if format_ not in _PARTIAL:
        return False
    try:
        if format_ is Format.GIF or (format_ is Format.JPEG and _is_progressive(opened)):
            return not _is_uniform(opened, first=first, count=count, stop=stop)
        image = load(opened, shrink=1, first=first, count=count, sequential=True)
        stop(image)
        with _translated():
            image.crop(0, 0, image.width, 1).avg()
    except BrokenImage:
        return False
    return True


def _is_progressive(opened: Opened) -> bool:
    return bool(load(opened, shrink=1, first=0, count=1, sequential=True).get("jpeg-multiscan"))


def _is_uniform(opened: Opened, *, first: int, count: int, stop: Callable[[object], None]) -> bool:
    image = replace(opened, lenient=True).load(shrink=1, first=first, count=count, sequential=True)
    stop(image)
    if opened.facts.format is Format.JPEG and image.width > _MADE_UP:
        image = image.crop(_MADE_UP, 0, image.width - _MADE_UP, image.height)
    with _translated():
        stats = image.stats()
    return all(stats(0, band) == stats(1, band) for band in range(1, stats.height))


def _count_frames(image: Image, first: int, count: int) -> None:
    """Keep the delays of the frames that are there, and no page height: every step would make it wrong."""
    if image.get_typeof("delay"):
        image.set_type(INTS, "delay", image.get("delay")[first : first + count])
    for name in ("page-height", "n-pages"):
        if image.get_typeof(name):
            image.remove(name)


def plain(colour: Colour, width: int, height: int) -> Image:
    """Return an image of one colour, with alpha if the colour has any."""
    parts = colour.rgb if colour.alpha == 255 else colour.rgba
    pixel = pyvips.Image.black(1, 1, bands=len(parts)) + parts
    return pixel.cast("uchar").copy(interpretation="srgb").embed(0, 0, width, height, extend="copy")


def ramp(*, deep: bool) -> Image:
    """Return a table of every 8-bit or 16-bit value, for curves applied by `maplut`."""
    return pyvips.Image.identity(ushort=deep)


def matrix(rows: Sequence[Sequence[float]]) -> Image:
    """Return a matrix for `recomb`."""
    return pyvips.Image.new_from_array([list(row) for row in rows])


def from_memory(
    data: bytes,
    width: int,
    height: int,
    bands: int,
    interpretation: str,
    profile: bytes | None,
    depth: str = "",
) -> Image:
    """Pixels that another library decoded, row by row, with their colour profile.

    Raise `BrokenImage` if they are not as many as the header said: a damaged file's header and pixels differ.
    """
    depth = depth or ("ushort" if interpretation == "grey16" else "uchar")
    if len(data) != width * height * bands * _BYTES[depth]:
        raise BrokenImage("the source image is damaged: its header and its pixels are of different sizes")
    image = pyvips.Image.new_from_memory(data, width, height, bands, depth)
    image = image.copy(interpretation=interpretation)
    if profile:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    return image


def decode_jpeg(data: bytes) -> Image:
    """Open a JPEG embedded in another file."""
    with _translated():
        return pyvips.Image.jpegload_buffer(data, fail_on="error")


def draw_svg(text: str) -> Image:
    """Draw an SVG of our own making."""
    return pyvips.Image.svgload_buffer(text.encode())


def bare(image: Image) -> Image:
    """Return the computed pixels alone, so that no metadata of an overlay gets into a result."""
    pixels = pyvips.Image.new_from_memory(
        image.write_to_memory(), image.width, image.height, image.bands, image.format
    )
    return pixels.copy(interpretation=image.interpretation)


def join_frames(frames: Sequence[Image]) -> Image:
    """Lay frames of one size below one another."""
    return pyvips.Image.arrayjoin(list(frames), across=1)


def write(image: Image, descriptor: int, format_: Format, options: dict[str, Any]) -> None:
    """Encode to a descriptor."""
    with _translated():
        target = pyvips.Target.new_to_descriptor(descriptor)
        image.write_to_target(target, f".{TRAITS[format_].extension}", **options)


@contextmanager
def _translated(fault: str = "its pixels cannot be decoded") -> Iterator[None]:
    try:
        yield
    except pyvips.Error as error:
        raise translate(error, fault) from error


def translate(error: pyvips.Error, fault: str = "its pixels cannot be decoded") -> Exception:
    """Return the `ImgproxyError` of a libvips error; `fault` describes a damaged source."""
    text = str(error).lower()
    if "killed" in text:
        return DeadlinePassed("the image took too long to make")
    if _SCARCE.search(text):
        return ImageTooLarge("the image needs more memory than is allowed")
    if "vips_" in text and "no such operation" in text:
        return EngineFailed("the image could not be made")
    return BrokenImage(f"the source image is damaged: {fault}")


INT = pyvips.GValue.gint_type
"""The type of a whole number in an image's metadata."""

INTS = pyvips.GValue.array_int_type
"""The type of a list of them, such as how long each frame is shown."""

BICUBIC = pyvips.Interpolate.new("bicubic")
"""How pixels are made up where an image is enlarged, as vips_resize does."""

Error = pyvips.Error
"""What libvips raises when an image is computed at last; see `translate`."""
