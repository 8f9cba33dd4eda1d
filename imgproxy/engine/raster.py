"""What is done to pixels in one way wherever it is done: frames, size, orientation and colours."""

from __future__ import annotations

from collections.abc import Callable

from imgproxy.engine import vips
from imgproxy.image.filters.family import Image

_SRGB = ("srgb", "b-w")
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
    """A picture resized in its own depth, alpha premultiplied around it.

    Premultiplied colours are cut back to that depth first: resizing floats takes three times as long
    (measured on 4 MP: 79 ms, against 29), for differences nobody sees.
    """
    if not image.hasalpha():
        return image.resize(across, vscale=down)
    depth = image.format
    small = image.premultiply().cast(depth).resize(across, vscale=down)
    return small.unpremultiply().rint().cast(depth)


def upright(image: Image, orientation: int) -> Image:
    """Apply the EXIF orientation and take its mark away; the value is ours, checked when it was read."""
    if image.get_typeof("orientation"):
        image = image.copy()
        image.set("orientation", orientation)
    return image.autorot() if orientation != 1 else image


def to_srgb(image: Image) -> Image:
    """Bring colours to 8-bit sRGB or grey, by the embedded profile if there is one."""
    if image.get_typeof("icc-profile-data"):
        image = _by_profile(image)
    elif image.interpretation == "cmyk":
        image = image.icc_transform("srgb", input_profile="cmyk", intent="relative")
    return eight_bit(image)


def _by_profile(image: Image) -> Image:
    """Convert by the embedded profile; a profile that cannot be used counts as none."""
    if image.interpretation in _SRGB and _says_srgb(image.get("icc-profile-data")):
        return image
    if image.interpretation == "b-w":  # grey profiles differ by gamma alone
        return image
    fallback = "cmyk" if image.interpretation == "cmyk" else "srgb"
    try:
        converted = image.icc_transform(
            "srgb", embedded=True, input_profile=fallback, intent="relative", depth=8
        )
        return converted.copy_memory()
    except vips.Error:
        return image if fallback == "srgb" else image.icc_transform("srgb", input_profile=fallback)


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
