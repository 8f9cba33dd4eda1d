"""What is done to pixels in one way wherever it is done: frames, size, orientation and colours."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from imgproxy.engine import cicp, vips
from imgproxy.image.colour import Colour
from imgproxy.image.filters.base import Image, premultiplied
from imgproxy.image.plan import AxisSpan

_SRGB = ("srgb", "b-w")
_GREY = ("b-w", "grey16")
_SRGB_UTF_16 = b"\0s\0R\0G\0B"  # as bytes: a codec would be imported, and in the sandbox nothing can be


def each_frame(image: Image, count: int, change: Callable[[Image], Image]) -> Image:
    """Change frames that lie below one another one by one; all must come out of one size."""
    if count == 1:
        return change(image)
    height = image.height // count
    return vips.join_frames(
        [change(image.crop(0, index * height, image.width, height)) for index in range(count)]
    )


def resized(image: Image, across: float, down: float) -> Image:
    """Resize by two scales as vips_resize does."""
    return premultiplied(image, lambda colours: colours.resize(across, vscale=down))


def resampled(image: Image, across: AxisSpan, down: AxisSpan) -> Image:
    """Resize so that two spans of pixels become whole sides, each point where it belongs.

    libvips's resize centres what it makes and knows whole images only, and its enlarging is half a pixel off.
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
    """How to lengthen an axis, so that a centred resize of the whole puts the span where it belongs."""

    before: int
    """Pixels to repeat before the first."""
    length: int
    """With those before and after."""
    becomes: int
    """Pixels after the resize, more than are wanted."""
    skip: int
    """Of which so many come before the first that is wanted."""


_LONGER = 40
"""Pixels of result to try; with so many one comes within a fiftieth of a pixel."""


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
    """One axis of an enlargement, in the words of vips_affine."""

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
    """Apply the EXIF orientation and take its mark away; the value is ours, checked when it was read."""
    if image.get_typeof("orientation"):
        image = image.copy()
        image.set("orientation", orientation)
    return image.autorot() if orientation != 1 else image


def flattened(image: Image, background: Colour) -> Image:
    """Lay an image with alpha over one colour; grey stays grey where the colour is grey."""
    if image.bands > 2:
        return image.flatten(background=background.rgb)
    if background.grey:
        return image.flatten(background=[background.red])
    return image.colourspace("srgb").flatten(background=background.rgb)


def to_srgb(image: Image, *, nclx: tuple[int, int] | None = None, black_point: bool = True) -> Image:
    """Bring colours to 8-bit sRGB or grey, by the embedded profile, else by `ImageHeader.nclx`.

    `black_point` scales the darkest ink to black (ICC black-point compensation); imagor does without.
    """
    if image.get_typeof("icc-profile-data"):
        image = _by_profile(image, black_point)
    elif image.interpretation == "cmyk":
        image = image.icc_transform("srgb", input_profile="cmyk", **_inked(black_point))
    elif nclx is not None:
        image = cicp.to_srgb(image, *nclx)
    return eight_bit(image)


def _by_profile(image: Image, black_point: bool) -> Image:
    """Convert by the embedded profile; a profile that cannot be used counts as none."""
    if image.interpretation in _SRGB and _says_srgb(image.get("icc-profile-data")):
        return image
    ink = image.interpretation == "cmyk"
    fallback = "cmyk" if ink else "srgb"
    how = _inked(black_point) if ink else {"intent": "relative"}
    try:
        converted = image.icc_transform("srgb", embedded=True, input_profile=fallback, depth=8, **how)
        converted = converted.copy_memory()
    except vips.Error:
        return image.icc_transform("srgb", input_profile=fallback, **how) if ink else image
    return _one_band(converted) if image.interpretation in _GREY else converted


def _inked(black_point: bool) -> dict[str, Any]:
    return {"intent": "relative", "black_point_compensation": black_point}


def _one_band(image: Image) -> Image:
    """Grey again: a converted grey image has three equal bands, and alpha perhaps."""
    grey = image.extract_band(0)
    grey = grey.bandjoin(image.extract_band(image.bands - 1)) if image.hasalpha() else grey
    return grey.copy(interpretation="b-w")


def _says_srgb(profile: bytes) -> bool:
    """Whether a profile describes itself as sRGB; most photos on the web bring it along.

    The description must begin so (ICC.1:2022 §7.3, §10.15): Android writes "Display P3 Gamut with sRGB
    Transfer" into pictures that are nothing of the kind.
    """
    tags = min(_number(profile, 128), 100)
    for entry in range(132, 132 + 12 * tags, 12):
        if profile[entry : entry + 4] == b"desc":
            begin = _number(profile, entry + 4)
            if profile[begin : begin + 4] != b"mluc":  # version 2: ASCII
                return profile[begin + 12 : begin + 16] == b"sRGB"
            begin += _number(profile, begin + 24)
            return profile[begin : begin + 8] == _SRGB_UTF_16
    return False


def _number(profile: bytes, at: int) -> int:
    return int.from_bytes(profile[at : at + 4], "big")


def eight_bit(image: Image) -> Image:
    """8-bit sRGB or grey of what has no profile to heed, or has been through it."""
    if image.interpretation not in _SRGB:
        image = image.colourspace("srgb")
    return image if image.format == "uchar" else image.cast("uchar")
