"""The one door to libvips: how it is told to behave, how originals are opened, how results are written.

Its errors become ours in this doorway, in our words: libvips names files, operations and addresses, which
is nothing for an asker. Filters and steps call methods on the images they are handed and import nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pyvips

from imgproxy.engine.readers import isobmff
from imgproxy.errors import BrokenImage, DeadlinePassed, EngineFailed, ImageTooLarge, UnsupportedImage
from imgproxy.image.colour import Colour
from imgproxy.image.filters.family import Image
from imgproxy.image.formats import TRAITS, WRITTEN, Format
from imgproxy.image.info import Facts

OLDEST = (8, 18, 7)
"""Older ones have known holes in loaders that we use (CVE-2026-69242 and others, mended by 8.18.7)."""

_BY_LOADER = {f"{traits.loader}_source": name for name, traits in TRAITS.items()}
_PAGED = (Format.GIF, Format.WEBP, Format.TIFF)
_AV1 = "av1"


def version() -> tuple[int, int, int]:
    """The version of the libvips that is loaded."""
    return pyvips.version(0), pyvips.version(1), pyvips.version(2)


def describe() -> tuple[str, tuple[str, ...]]:
    """The version's text, and the types that this libvips can read."""
    readable = tuple(name for name, traits in TRAITS.items() if _exists(f"{traits.loader}_source"))
    return _dotted(version()), readable


def _dotted(parts: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in parts)


def _exists(operation: str) -> bool:
    return bool(pyvips.type_find("VipsOperation", operation))


def prepare() -> None:
    """Tell libvips how to behave; makes no thread, so the sandbox can be shut right after.

    The operation cache would keep one request's pixels for another's. SVG is blocked with the untrusted
    loaders; it is let in again because it is drawn in the sandbox only. One thread a worker: as many
    workers run as there are cores, and threads within one picture would only wait for each other.
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
    """Write and read one small picture of each type, so that no request pays for first use."""
    picture = pyvips.Image.black(64, 64, bands=3).copy(interpretation="srgb")
    for name in WRITTEN:
        traits = TRAITS[name]
        data = picture.write_to_buffer(f".{traits.extension}")
        loaded = getattr(pyvips.Image, f"{traits.loader}_buffer")(data)
        loaded.resize(0.5).icc_transform("srgb", input_profile="srgb").copy_memory()
    picture.smartcrop(32, 32, interesting="attention").copy_memory()
    draw_svg('<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>').copy_memory()


@dataclass(frozen=True, slots=True)
class Opened:
    """An original whose header was read and whose pixels were not."""

    source: Any
    facts: Facts


def open_original(descriptor: int) -> Opened:
    """Read a header; raise `UnsupportedImage` or `BrokenImage`. The descriptor stays the caller's.

    libvips decides the type from the bytes alone; only those of our table pass.
    """
    with _translated():
        source = pyvips.Source.new_from_descriptor(descriptor)
        try:
            header = pyvips.Image.new_from_source(source, "", access="sequential")
        except pyvips.Error as error:
            raise _unopened(error, descriptor) from None
        facts = _facts(header)
        if facts.format is Format.AVIF and not _is_av1(header, descriptor):
            # libvips reads such a header and fails at the pixels, for want of an HEVC decoder
            raise UnsupportedImage("the original is HEIC, which we do not read; convert it to JPEG or AVIF")
        if facts.format is Format.AVIF:
            facts = replace(facts, nclx=isobmff.nclx(lambda at, count: os.pread(descriptor, count, at)))
        return Opened(source, facts)


def _unopened(error: pyvips.Error, descriptor: int) -> Exception:
    if os.fstat(descriptor).st_size == 0:
        return BrokenImage("the original is empty: it has no bytes")
    if "not in a known format" in str(error):
        return UnsupportedImage(f"the original is not of a type we read: {', '.join(TRAITS)}")
    return BrokenImage("the original is damaged: its header cannot be read")


def _facts(header: Image) -> Facts:
    format_ = _BY_LOADER.get(_field(header, "vips-loader", ""))
    if format_ is None:
        raise UnsupportedImage(f"the original is not of a type we read: {', '.join(TRAITS)}")
    pages = int(_field(header, "n-pages", 1)) if format_ in _PAGED else 1
    orientation = int(_field(header, "orientation", 1))
    return Facts(
        format=format_,
        width=header.width,
        height=int(_field(header, "page-height", header.height)),
        pages=max(pages, 1),
        orientation=orientation if 1 <= orientation <= 8 and pages <= 1 else 1,
        alpha=bool(header.hasalpha()),
    )


def _is_av1(header: Image, descriptor: int) -> bool:
    """Whether a HEIF file holds AV1: by its main brand, which is all libvips looks at, or by another.

    The brands stand in the first box (ISO/IEC 14496-12 §4.3).
    """
    if _field(header, "heif-compression", "") == _AV1:
        return True
    size = int.from_bytes(os.pread(descriptor, 4, 0), "big")
    brands = os.pread(descriptor, min(size, 256) - 16 if size > 16 else 0, 16)
    return b"avif" in (brands[at : at + 4] for at in range(0, len(brands), 4))


def _field(image: Image, name: str, otherwise: Any) -> Any:
    return image.get(name) if image.get_typeof(name) else otherwise


def turn_to(opened: Opened, page: int) -> Opened:
    """The same original open at another page, from 0; those of a TIFF have sizes of their own."""
    if page == 0 or opened.facts.format is not Format.TIFF:
        return opened
    with _translated():
        operation = f"{TRAITS[Format.TIFF].loader}_source"
        return Opened(opened.source, _facts(pyvips.Operation.call(operation, opened.source, page=page)))


def load(opened: Opened, *, shrink: float, first: int, count: int, sequential: bool) -> Image:
    """Set up decoding of `count` frames from `first`, shrunk by what the type's decoder does itself.

    Warnings pass; truncation and errors fail, so half a picture is never taken for a whole one.
    """
    facts = opened.facts
    options: dict[str, Any] = {
        "access": "sequential" if sequential and count == 1 else "random",
        "fail_on": "error",
    }
    if facts.format in _PAGED:
        options |= {"page": first, "n": count}
    if facts.format is Format.JPEG and shrink > 1:
        options["shrink"] = int(shrink)
    elif facts.format in (Format.WEBP, Format.SVG) and shrink != 1:
        options["scale"] = 1 / shrink
    with _translated():
        operation = f"{TRAITS[facts.format].loader}_source"
        image = pyvips.Operation.call(operation, opened.source, **options)
        _count_frames(image, first, count)
        return image


def _count_frames(image: Image, first: int, count: int) -> None:
    """Keep the delays of the frames that are there, and no page height: every step would make it wrong."""
    if image.get_typeof("delay"):
        image.set_type(INTS, "delay", image.get("delay")[first : first + count])
    for name in ("page-height", "n-pages"):
        if image.get_typeof(name):
            image.remove(name)


def plain(colour: Colour, width: int, height: int) -> Image:
    """A picture of one colour, with alpha where it has any."""
    parts = colour.rgb if colour.alpha == 255 else colour.rgba
    pixel = pyvips.Image.black(1, 1, bands=len(parts)) + parts
    return pixel.cast("uchar").copy(interpretation="srgb").embed(0, 0, width, height, extend="copy")


def ramp(*, deep: bool) -> Image:
    """A table of every 8-bit or 16-bit value, for curves that `maplut` applies."""
    return pyvips.Image.identity(ushort=deep)


def matrix(rows: Sequence[Sequence[float]]) -> Image:
    """A matrix for `recomb`."""
    return pyvips.Image.new_from_array([list(row) for row in rows])


def draw_svg(text: str) -> Image:
    """Draw an SVG of our own making."""
    return pyvips.Image.svgload_buffer(text.encode())


def bare(image: Image) -> Image:
    """The pixels alone, computed: nothing else of a further picture's file shall get into a result."""
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
def _translated() -> Iterator[None]:
    try:
        yield
    except pyvips.Error as error:
        raise translate(error) from error


def translate(error: pyvips.Error) -> Exception:
    """What a libvips error means to whoever asked."""
    text = str(error).lower()
    if "killed" in text:
        return DeadlinePassed("the picture took too long to make")
    if "out of memory" in text or "unable to allocate" in text:
        return ImageTooLarge("the picture needs more memory than is allowed")
    if "vips_" in text and "no such operation" in text:
        return EngineFailed("the picture could not be made")
    return BrokenImage("the original is damaged: its pixels cannot be decoded")


INT = pyvips.GValue.gint_type
"""The type of a whole number in an image's metadata."""

INTS = pyvips.GValue.array_int_type
"""The type of a list of them, such as how long each frame is shown."""

BICUBIC = pyvips.Interpolate.new("bicubic")
"""How pixels are made up where an image is enlarged, as vips_resize does."""

Error = pyvips.Error
"""What libvips raises when an image is computed at last; see `translate`."""
