"""CPU time and sizes of a transform before any pixel is computed. Pure.

Filters and types declare nanoseconds per pixel, the least that a soft photo takes on one core
(`python -m bench costs`). An image of noise may take several times as long: declared costs refuse only what
is certainly too much, and the worker's limit of CPU time stops the rest.
"""

from __future__ import annotations

from imgproxy.errors import BadArgument
from imgproxy.image.filters import named
from imgproxy.image.filters.base import Extent
from imgproxy.image.formats import TRAITS, Format
from imgproxy.image.header import ImageHeader
from imgproxy.image.plan import Ceiling, Size, check_size
from imgproxy.image.source import PlainColour, Source
from imgproxy.image.transform import Fit, Transform

_RESIZE_NS = 3  # per pixel of the larger of the two images


def require_affordable(transform: Transform, source: Source, ceiling: Ceiling) -> None:
    """Raise `BadArgument` for a transform that is too large or too costly for every source image.

    For a stored image the least size is taken that its result can have, for a plain colour the exact one.
    """
    least = _least(transform, plain=isinstance(source, PlainColour))
    check_size(Size(least.width, least.height), 1, ceiling)
    seconds, _ = effects(transform, least, 1, ceiling)
    if transform.options.format is not None:
        seconds += encoding(transform.options.format, least, 1)
    _require(seconds, ceiling)


def require(
    transform: Transform,
    facts: ImageHeader,
    *,
    decoded: Size,
    extent: Extent,
    frames: int,
    output: Format | None,
    effort: int,
    ceiling: Ceiling,
) -> None:
    """Raise `BadArgument` for a result of a known source image that is too large or too costly.

    `decoded` is the size of one frame as its decoder gives it, `extent` the size after resize and crop;
    `output` is None where only the header of the result is wanted.
    """
    pixels = decoded.width * decoded.height * frames
    seconds = pixels * TRAITS[facts.format].decode_ns / 1e9
    seconds += max(pixels, extent.pixels * frames) * _RESIZE_NS / 1e9
    filtering, final = effects(transform, extent, frames, ceiling)
    seconds += filtering
    if output is not None:
        seconds += encoding(output, final, frames, effort)
    _require(seconds, ceiling)


def effects(transform: Transform, extent: Extent, frames: int, ceiling: Ceiling) -> tuple[float, Extent]:
    """Return the seconds that the effects take, and the size of one frame after them.

    Raise `BadArgument` if one of them makes too large an image.
    """
    nanoseconds = 0.0
    for call in transform.effects:
        declared = named(call.name)
        grown = declared.resizes(extent, *call.values)
        check_size(Size(grown.width, grown.height), frames, ceiling)
        nanoseconds += max(extent.pixels, grown.pixels) * frames * declared.nanoseconds(*call.values)
        extent = grown
    return nanoseconds / 1e9, extent


def encoding(format_: Format, extent: Extent, frames: int, effort: int = 0) -> float:
    """Return the seconds that writing an image takes; AVIF at effort 4 takes 40 times that of effort 0."""
    slower = (1 + effort) ** 2.3 if format_ is Format.AVIF else 1
    return extent.pixels * frames * TRAITS[format_].encode_ns * slower / 1e9


def _least(transform: Transform, *, plain: bool) -> Extent:
    width, height = max(transform.width, 1), max(transform.height, 1)
    filled = transform.upscale and transform.fit in (Fit.COVER, Fit.STRETCH, Fit.OUTSIDE)
    size = (width, height) if plain or filled else (1, 1)
    return Extent(*size, box=(width, height), padding=transform.padding)


def _require(seconds: float, ceiling: Ceiling) -> None:
    if seconds > ceiling.seconds:
        raise BadArgument(
            f"the image would take {seconds:.1f} seconds of CPU time: at most {ceiling.seconds:g} are allowed"
        )
