"""Frames, size and orientation of decoded images."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from imgproxy.engine import vips
from imgproxy.image.filters.base import Image, premultiplied
from imgproxy.image.plan import AxisSpan


def each_frame(image: Image, count: int, change: Callable[[Image], Image]) -> Image:
    """Apply `change` to each of `count` frames stacked vertically; all results must have one size."""
    if count == 1:
        return change(image)
    height = image.height // count
    return vips.join_frames(
        [change(image.crop(0, index * height, image.width, height)) for index in range(count)]
    )


def resized(image: Image, across: float, down: float) -> Image:
    """Resize by a horizontal and a vertical scale, as vips_resize does."""
    return premultiplied(image, lambda colours: colours.resize(across, vscale=down))


def resampled(image: Image, across: AxisSpan, down: AxisSpan) -> Image:
    """Resize a span of columns and a span of rows to whole sides, each point at its exact position.

    vips_resize centres its result and takes whole images only, and its enlarging is half a pixel off.
    So an axis that shrinks is lengthened and cut (`_stretch`), and one that grows goes through affine with
    the offset that is right.
    """
    if across.still and down.still:
        return image
    return premultiplied(image, lambda colours: _enlarged(_reduced(colours, across, down), across, down))


def _reduced(image: Image, across: AxisSpan, down: AxisSpan) -> Image:
    """Shrink along the axes that become smaller, with Lanczos 3."""
    x, y = _stretch(image.width, across), _stretch(image.height, down)
    if (x.length, y.length) != (image.width, image.height) or x.before or y.before:
        image = image.embed(x.before, y.before, x.length, y.length, extend="copy")
    if x.becomes == x.length and y.becomes == y.length:
        return image
    image = image.resize(x.becomes / x.length, vscale=y.becomes / y.length)
    wide = across.target if across.length > across.target else x.becomes
    high = down.target if down.length > down.target else y.becomes
    if (image.width, image.height) == (wide, high):
        return image
    return image.crop(x.skip, y.skip, wide, high)


class _Stretch(NamedTuple):
    """Extension of an axis after which a centred resize of the whole puts the span at its position."""

    before: int
    """Pixels to repeat before the first."""
    length: int
    """Pixels with those before and after."""
    becomes: int
    """Pixels after the resize, including those cut afterwards."""
    skip: int
    """Resized pixels before the first one kept."""


_LONGER = 40
"""Result lengths to try: among so many, one comes within a fiftieth of a pixel."""


def _stretch(whole: int, span: AxisSpan) -> _Stretch:
    """Find a length that a whole number of result pixels fits onto: libvips resizes nothing else exactly.

    With `shrink` source pixels per result pixel, a resize of `length` to `becomes` pixels begins at
    (length - shrink × becomes) / 2 (vips_reduce), which must be where the span begins.
    """
    shrink = span.length / span.target
    if shrink <= 1 or (span.start == 0 and span.length == whole):
        return _Stretch(0, whole, span.target if shrink > 1 else whole, 0)
    best, smallest = _Stretch(0, whole, span.target, 0), math.inf
    for skip in range(3):
        before = max(0, math.floor(shrink * skip - span.start + 0.5))
        offset = span.start + before - shrink * skip
        if abs(offset) >= shrink / 4:
            continue
        for becomes in range(span.target + skip, span.target + skip + _LONGER):
            length = shrink * becomes + 2 * offset
            error = abs(length - round(length))
            if error < smallest - 1e-9 and round(length) >= before + 1:
                best, smallest = _Stretch(before, round(length), becomes, skip), error
            if smallest < 0.04:
                return best
    return best


def _enlarged(image: Image, across: AxisSpan, down: AxisSpan) -> Image:
    """Enlarge along the axes that become longer, with bicubic interpolation.

    vips_affine puts input pixel x at scale × (x + idx) + odx; pixels are squares whose centres lie half a
    pixel inside, in the input and in the result.
    """
    x, y = _growth(image.width, across), _growth(image.height, down)
    if not (x.moves or y.moves):
        return image
    return image.affine(
        [x.scale, 0, 0, y.scale],
        interpolate=vips.BICUBIC,
        idx=x.before,
        idy=y.before,
        odx=x.after,
        ody=y.after,
        oarea=[0, 0, x.becomes, y.becomes],
        extend="copy",
        premultiplied=True,
    )


class _Growth(NamedTuple):
    """One axis of an enlargement, as parameters of vips_affine."""

    becomes: int
    scale: float = 1
    before: float = 0
    after: float = 0
    moves: bool = False


def _growth(whole: int, span: AxisSpan) -> _Growth:
    if span.still or span.length > span.target:
        return _Growth(whole)
    return _Growth(span.target, span.target / span.length, 0.5 - span.start, -0.5, moves=True)


def upright(image: Image, orientation: int) -> Image:
    """Apply an EXIF orientation, and remove the tag; `orientation` is the value checked at reading."""
    if image.get_typeof("orientation"):
        image = image.copy()
        image.set("orientation", orientation)
    return image.autorot() if orientation != 1 else image
