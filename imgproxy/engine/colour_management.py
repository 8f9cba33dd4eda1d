"""Colours of decoded images: to 8-bit sRGB by profile or code points, and over a background."""

from __future__ import annotations

from typing import Any

from imgproxy.engine import cicp, vips
from imgproxy.image.colour import Colour
from imgproxy.image.filters.base import Image

_SRGB = ("srgb", "b-w")
_GREY = ("b-w", "grey16")
_SRGB_UTF_16 = b"\0s\0R\0G\0B"  # as bytes: a codec would be imported, and in the sandbox nothing can be


def flattened(image: Image, background: Colour) -> Image:
    """Composite an image with alpha over one colour; a grey image stays grey where the colour is grey."""
    if image.bands > 2:
        return image.flatten(background=background.rgb)
    if background.grey:
        return image.flatten(background=[background.red])
    return image.colourspace("srgb").flatten(background=background.rgb)


def to_srgb(image: Image, *, nclx: tuple[int, int] | None = None, black_point: bool = True) -> Image:
    """Convert to 8-bit sRGB or grey, by the embedded profile if there is one, else by `ImageHeader.nclx`.

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
    """Convert by the embedded profile; treat an unusable profile as absent."""
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
    """Return a converted grey image, which has three equal bands, as one band, with alpha if it has any."""
    grey = image.extract_band(0)
    grey = grey.bandjoin(image.extract_band(image.bands - 1)) if image.hasalpha() else grey
    return grey.copy(interpretation="b-w")


def _says_srgb(profile: bytes) -> bool:
    """Return whether a profile describes itself as sRGB, as most photos on the web do.

    The description must begin so (ICC.1:2022 §7.3, §10.15): Android writes "Display P3 Gamut with sRGB
    Transfer" into images of another gamut.
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
    """Return the image as 8-bit sRGB or grey, ignoring any profile."""
    if image.interpretation not in _SRGB:
        image = image.colourspace("srgb")
    return image if image.format == "uchar" else image.cast("uchar")
