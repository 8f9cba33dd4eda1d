"""The plan of a transform: exact sizes and offsets. Pure; no other module computes a size.

Sides are rounded half up and never to nothing, as vips_resize does. The scale for a box follows
vips_thumbnail and imagor. The viewer's coordinates (*upright*) and the file's (*stored*) differ by EXIF
orientation: transforms are upright; plans are stored until the image is small and can be turned cheaply.

A decoder that shrinks rounds to whole pixels, so the loaded image spans a little more or less than the
source. An `AxisSpan` is the stretch of loaded pixels, in fractions of one, that becomes the result's side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from imgproxy.errors import BadArgument, ImageTooLarge
from imgproxy.image.formats import TRAITS, Format
from imgproxy.image.gravity import Region, focal_point, offset
from imgproxy.image.header import ImageHeader
from imgproxy.image.transform import Fit, Transform


class Box(NamedTuple):
    """A rectangle of whole pixels."""

    left: int
    top: int
    width: int
    height: int


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int


class AxisSpan(NamedTuple):
    """One axis of a resize: the stretch of pixels that becomes `target` pixels.

    It may begin within the first pixel, and end within or beyond the last: a JPEG decoder that shrinks leaves
    out the block that is not whole.
    """

    start: float
    length: float
    target: int

    @property
    def still(self) -> bool:
        """Whether every pixel stays where it is."""
        return self.start == 0 and self.length == self.target


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps for the loaded image, in order of fields."""

    extract: Box | None
    """Cut first: stored pixels of one loaded frame."""
    across: AxisSpan
    """Then resize, along the stored axes."""
    down: AxisSpan
    scale: tuple[float, float]
    """The same as one scale an axis, centred, as vips_thumbnail and imagor resize."""
    size: Size
    """The size after that, upright."""
    crop: Box | None
    """Then cut to the box, upright."""
    smart: bool
    """The crop's place depends on the pixels; its size is final."""
    box: Size
    """The requested box with its free side computed; `fill` fills it."""

    @property
    def settled(self) -> Size:
        """The size of the first image that is computed whole, upright."""
        return self.size if self.smart else self.cropped

    @property
    def cropped(self) -> Size:
        """The size after the crop, upright."""
        return self.size if self.crop is None else Size(self.crop.width, self.crop.height)


class Ceiling(NamedTuple):
    """Limits of one job, and the readers that it may not use."""

    pixels: int
    """Width × height × frames."""
    frames: int
    side: int
    """Maximum side of a result; free sides stay below it."""
    without: tuple[str, ...] = ()
    """Readers that are turned off (`image.formats.READERS`)."""
    seconds: float = math.inf
    """CPU time of one job."""
    memory: int = 2**40
    """Bytes of images that a job computes into memory at once."""


UNBOUNDED = Ceiling(pixels=2**62, frames=2**31, side=2**31)


def frames(transform: Transform, facts: ImageHeader, output: Format) -> tuple[int, int]:
    """Return the first page to load, from 0, and their number; raise `BadArgument` for a missing page."""
    first = transform.options.page - 1
    if first >= facts.pages:
        raise BadArgument(f"page: the source image has {facts.pages}, not {first + 1}")
    if not (TRAITS[facts.format].animation and TRAITS[output].animation):
        return first, 1
    return first, min(facts.pages - first, transform.options.max_frames or facts.pages)


def check(facts: ImageHeader, count: int, ceiling: Ceiling, *, factor: float = 1) -> None:
    """Raise `ImageTooLarge` above the limits, before any pixel is decoded.

    `factor` divides the size at which a drawing is rendered: its own size costs nothing.
    """
    if count > ceiling.frames:
        raise ImageTooLarge(f"the source image has {count} frames, at most {ceiling.frames} are allowed")
    width, height = math.ceil(facts.width / factor), math.ceil(facts.height / factor)
    pixels = width * height * count
    if pixels > ceiling.pixels:
        shown = f"{width}×{height}" + (f"×{count} frames" if count > 1 else "")
        raise ImageTooLarge(f"the source image has {shown} pixels, at most {ceiling.pixels} are allowed")


def check_size(size: Size, count: int, ceiling: Ceiling) -> None:
    """Raise `BadArgument` for an image of `count` frames above the limits."""
    if max(size) > ceiling.side:
        raise BadArgument(
            f"the image would have {size.width}×{size.height} pixels: "
            f"at most {ceiling.side} a side are allowed"
        )
    if size.width * size.height * count > ceiling.pixels:
        raise BadArgument(
            f"the image would have {size.width}×{size.height} pixels in {count} frames: "
            f"at most {ceiling.pixels} in all are allowed"
        )


_RESERVE = 1.25
"""Minimum shrink left to the resize of a JPEG; below it the result is as soft as the decoder."""
_WEBP_RESERVE = 1.5
_LOST = 1 / 3
"""Maximum share of a result's pixel that an incomplete JPEG block may take away."""


def shrink(
    transform: Transform, facts: ImageHeader, ceiling: Ceiling, *, exact: bool, imagor: bool = False
) -> float:
    """Return the factor of shrinking while loading, at least 1, which decoders do almost for free.

    JPEG halves up to three times, WebP takes any factor, SVG is drawn at size, so its factor may be below 1.
    The factor left to the resize decides the sharpness: 1.25 and 1.5 lose none, and `exact` leaves two.
    `imagor` computes as imagor and vips_thumbnail do, to the pixel.
    """
    if transform.trim is not None:
        return 1
    if imagor and (transform.crop is not None or transform.fit is Fit.OUTSIDE):
        return 1
    whole = _whole(facts)
    part = _cut(transform, whole, None)
    across, down, target, _ = _scales(transform, Size(part.width, part.height), ceiling.side)
    factor = min(1 / max(across, down), facts.width, facts.height)
    if TRAITS[facts.format].vector:
        return factor
    if facts.pages > 1 or factor < 1:
        return 1
    if not imagor:
        factor = min(part.width / target.width, part.height / target.height)
    if facts.format is Format.WEBP:
        if imagor:
            return factor
        return max(1, math.floor(factor / (2 if exact else _WEBP_RESERVE) * 2) / 2)
    if facts.format is not Format.JPEG:
        return 1
    reserve = 2 if exact or imagor else _RESERVE
    lost = math.inf if imagor else _LOST * factor
    sides = facts.width, facts.height
    return next(
        (
            step
            for step in (8, 4, 2)
            if factor >= step * reserve and min(sides) >= step and all(side % step <= lost for side in sides)
        ),
        1,
    )


def make(
    transform: Transform,
    facts: ImageHeader,
    *,
    loaded: Size,
    trim: Box | None,
    ceiling: Ceiling,
    factor: float = 1,
) -> Plan:
    """Return the plan of an image.

    `loaded` is one stored frame's size from the loader, which shrank it by `factor`. `trim` is the inside of
    the even border, upright and in the source image's pixels, if requested.
    """
    whole = _whole(facts)
    part = _cut(transform, whole, trim)
    across, down, target, box = _scales(transform, Size(part.width, part.height), ceiling.side)
    place = part if facts.exact else stored(part, facts.orientation, Size(facts.width, facts.height))
    size = target
    if facts.sideways:
        across, down, size = down, across, Size(target.height, target.width)
    dense = _density(facts, loaded, factor)
    left, wide, x = _span(place.left, place.width, dense[0], loaded.width, size.width)
    top, high, y = _span(place.top, place.height, dense[1], loaded.height, size.height)
    across = _scale_onto(wide, across * place.width / wide, size.width)
    if facts.pages > 1:
        down = size.height / high  # frames must stay whole pixels high
    else:
        down = _scale_onto(high, down * place.height / high, size.height)
    crop = _crop(transform, whole, part, target, box) if transform.cropping else None
    return Plan(
        extract=None if (left, top, wide, high) == (0, 0, *loaded) else Box(left, top, wide, high),
        across=x,
        down=y,
        scale=(across, down),
        size=target,
        crop=crop,
        smart=transform.smart and crop is not None,
        box=box,
    )


def stored(box: Box, orientation: int, size: Size) -> Box:
    """Return an upright box in the coordinates of the stored image of `size` (EXIF 2.32, tag 0x0112)."""
    left, top, width, height = box
    if orientation >= 5:  # stored lying on its side: x runs where y was
        left, top, width, height = top, left, height, width
    if orientation in (2, 3, 7, 8):
        left = size.width - left - width
    if orientation in (3, 4, 6, 7):
        top = size.height - top - height
    return Box(left, top, width, height)


def within(box: Box, size: Size) -> Box:
    """Return a crop moved and cut to lie within a size: vips_resize may make a pixel less than planned.

    It divides by the inverse of the scale, so that a length of exactly half a pixel may be rounded down.
    """
    width, height = min(box.width, size.width), min(box.height, size.height)
    return Box(min(box.left, size.width - width), min(box.top, size.height - height), width, height)


def _rounded(length: float) -> int:
    return max(1, math.floor(length + 0.5))


def _scale_onto(length: int, scale: float, target: int) -> float:
    """Return the scale, adjusted where rounding would miss the target."""
    return scale if _rounded(length * scale) == target else target / length


def _cut(transform: Transform, whole: Size, trim: Box | None) -> Box:
    """Return the requested part of the source image, upright: the manual crop within the trimmed border.

    A side of 0 reaches to the edge. As in imagor the far edges stop one pixel short of the image's.
    """
    left, top, right, bottom = 0, 0, 0, 0
    if transform.crop is not None:
        left, top, right, bottom = _pixels(transform.crop, whole)
        right = min(right or whole.width - 1, whole.width - 1)
        bottom = min(bottom or whole.height - 1, whole.height - 1)
    if trim is not None:
        left, top = max(left, trim.left), max(top, trim.top)
        right = min(right or whole.width, trim.left + trim.width)
        bottom = min(bottom or whole.height, trim.top + trim.height)
    if transform.crop is None and trim is None:
        return Box(0, 0, *whole)
    if right <= left or bottom <= top:
        raise BadArgument(
            f"crop: nothing is left of the source image of {whole.width}×{whole.height} pixels within it"
        )
    return Box(left, top, right - left, bottom - top)


def _pixels(crop: Region, whole: Size) -> tuple[int, int, int, int]:
    across, down = whole if crop.fractional else (1, 1)
    return (
        math.floor(crop.left * across + 0.5),
        math.floor(crop.top * down + 0.5),
        math.floor(crop.right * across + 0.5),
        math.floor(crop.bottom * down + 0.5),
    )


def _whole(facts: ImageHeader) -> Size:
    """Return the upright width and height; a drawing's may be fractions."""
    width, height = facts.exact or facts.upright
    return Size(width, height)  # type: ignore[arg-type]  # its uses round it


def _density(facts: ImageHeader, loaded: Size, factor: float) -> tuple[float, float]:
    """Return the loaded pixels per pixel of the source, along the stored axes.

    A JPEG block of `factor` x `factor` pixels becomes one pixel, and the blocks that are not whole are left
    out. The other decoders scale the whole source onto whole pixels.
    """
    if facts.format is Format.JPEG:
        return 1 / factor, 1 / factor
    whole = _whole(facts) if facts.exact else Size(facts.width, facts.height)
    return loaded.width / whole.width, loaded.height / whole.height


def _span(start: int, length: int, density: float, loaded: int, target: int) -> tuple[int, int, AxisSpan]:
    """Return offset and length of the cut along one axis, and the span within."""
    begin, reach = _even(start * density), _even(length * density)
    left = min(math.floor(begin), loaded - 1)
    right = max(min(math.ceil(_even(begin + reach)), loaded), left + 1)
    return left, right - left, AxisSpan(_even(begin - left), reach, target)


def _even(length: float) -> float:
    """Return a length without the rounding errors of floats."""
    return round(length) if abs(length - round(length)) < 1e-6 else length


def _scales(transform: Transform, part: Size, longest: int) -> tuple[float, float, Size, Size]:
    """Return the horizontal and vertical scale, the size they give, and the requested box."""
    box = _box(transform, part)
    if transform.width == transform.height == 0:
        scale = min(1.0, longest / part.width, longest / part.height)
        size = _scaled(part, scale, scale)
        return scale, scale, size, size
    across, down = box.width / part.width, box.height / part.height
    if transform.fit is Fit.STRETCH and transform.width and transform.height:
        if not transform.upscale and not (across < 1 and down < 1):
            across = down = 1.0
        return across, down, _scaled(part, across, down), box
    if transform.cropping or transform.fit is Fit.OUTSIDE:
        scale = max(across, down)
    else:
        free = longest if 0 in (transform.width, transform.height) else None
        scale = _inside(transform, part, box, free)
    if not transform.upscale or transform.fit is Fit.MIN:
        scale = min(scale, 1.0)
    size = _scaled(part, scale, scale)
    box = Size(box.width if transform.width else size.width, box.height if transform.height else size.height)
    return scale, scale, size, box


def _inside(transform: Transform, part: Size, box: Size, free: int | None) -> float:
    across, down = box.width / part.width, box.height / part.height
    if free is None:
        return min(across, down)
    if transform.width:
        return min(across, free / part.height)
    return min(down, free / part.width)


def _scaled(part: Size, across: float, down: float) -> Size:
    return Size(_rounded(part.width * across), _rounded(part.height * down))


def _box(transform: Transform, part: Size) -> Size:
    """Return the requested box; a free side follows from the other, rounded down as in imagor."""
    width, height = transform.width, transform.height
    if width == 0 and height == 0:
        return part
    if transform.fit is Fit.MIN and transform.cropping:
        return _within(Size(width, height), part)
    if width == 0:
        width = max(1, part.width * height // part.height)
        width = width if transform.upscale else min(width, part.width)
    elif height == 0:
        height = max(1, part.height * width // part.width)
        height = height if transform.upscale else min(height, part.height)
    if transform.adaptive and (width > height) != (part.width > part.height):
        width, height = height, width
    return Size(width, height)


def _within(box: Size, part: Size) -> Size:
    """Return the largest box of these proportions, at most this, that the part fills without enlarging."""
    if box.width <= part.width and box.height <= part.height:
        return box
    if part.width * box.height <= part.height * box.width:
        return Size(_rounded(part.width), _rounded(part.width * box.height / box.width))
    return Size(_rounded(part.height * box.width / box.height), _rounded(part.height))


def _crop(transform: Transform, whole: Size, part: Box, size: Size, box: Size) -> Box | None:
    """Return the part of the resized image that fills the box."""
    width, height = min(box.width, size.width), min(box.height, size.height)
    if (width, height) == size:
        return None
    if not transform.options.focal:
        return Box(
            offset(size.width - width, transform.halign),
            offset(size.height - height, transform.valign),
            width,
            height,
        )
    x, y = focal_point(transform.options.focal, *whole)
    left = (x - part.left) / part.width * size.width - width / 2
    top = (y - part.top) / part.height * size.height - height / 2
    return Box(
        int(max(0.0, min(left, size.width - width))),
        int(max(0.0, min(top, size.height - height))),
        width,
        height,
    )
