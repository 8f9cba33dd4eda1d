"""The tuple of filters. To add one: its file, its line here, its test."""

from __future__ import annotations

from imgproxy.errors import BadArgument
from imgproxy.image.filters.attachment import ATTACHMENT
from imgproxy.image.filters.background_color import BACKGROUND_COLOR
from imgproxy.image.filters.base import Filter, FilterCall
from imgproxy.image.filters.blur import BLUR
from imgproxy.image.filters.brightness import BRIGHTNESS
from imgproxy.image.filters.contrast import CONTRAST
from imgproxy.image.filters.dpi import DPI
from imgproxy.image.filters.dpr import DPR
from imgproxy.image.filters.expire import EXPIRE
from imgproxy.image.filters.fill import FILL
from imgproxy.image.filters.focal import FOCAL
from imgproxy.image.filters.format import FORMAT
from imgproxy.image.filters.grayscale import GRAYSCALE
from imgproxy.image.filters.hue import HUE
from imgproxy.image.filters.max_age import MAX_AGE
from imgproxy.image.filters.max_bytes import MAX_BYTES
from imgproxy.image.filters.max_frames import MAX_FRAMES
from imgproxy.image.filters.no_upscale import NO_UPSCALE
from imgproxy.image.filters.padding import PADDING
from imgproxy.image.filters.page import PAGE
from imgproxy.image.filters.preset import PRESET
from imgproxy.image.filters.proportion import PROPORTION
from imgproxy.image.filters.quality import QUALITY
from imgproxy.image.filters.rgb import RGB
from imgproxy.image.filters.rotate import ROTATE
from imgproxy.image.filters.round_corner import ROUND_CORNER
from imgproxy.image.filters.saturation import SATURATION
from imgproxy.image.filters.sharpen import SHARPEN
from imgproxy.image.filters.strip_exif import STRIP_EXIF
from imgproxy.image.filters.strip_icc import STRIP_ICC
from imgproxy.image.filters.strip_metadata import STRIP_METADATA
from imgproxy.image.filters.upscale import UPSCALE
from imgproxy.image.filters.watermark import WATERMARK

FILTERS: tuple[Filter, ...] = (
    ATTACHMENT,
    BACKGROUND_COLOR,
    BLUR,
    BRIGHTNESS,
    CONTRAST,
    DPI,
    DPR,
    EXPIRE,
    FILL,
    FOCAL,
    FORMAT,
    GRAYSCALE,
    HUE,
    MAX_AGE,
    MAX_BYTES,
    MAX_FRAMES,
    NO_UPSCALE,
    PADDING,
    PAGE,
    PRESET,
    PROPORTION,
    QUALITY,
    RGB,
    ROTATE,
    ROUND_CORNER,
    SATURATION,
    SHARPEN,
    STRIP_EXIF,
    STRIP_ICC,
    STRIP_METADATA,
    UPSCALE,
    WATERMARK,
)

_BY_NAME = {each.name: each for each in FILTERS}


def named(name: str) -> Filter:
    """Return the filter of this name; raise `BadArgument` if there is none."""
    found = _BY_NAME.get(name)
    if found is None:
        raise BadArgument(f"filters: '{name[:64]}' is not a filter; there are {', '.join(_BY_NAME)}")
    return found


def parse_call(name: str, arguments: str) -> FilterCall:
    """Parse one filter of a URL; raise `BadArgument` with the filter and the reason."""
    return named(name).call(arguments)
