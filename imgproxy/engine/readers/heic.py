"""HEIC and HEIF, as iPhones make them, by pi-heif (libheif with a decoder and no encoder).

The primary image. libheif turns and mirrors it by its properties (`irot`, `imir`), so EXIF orientation, which
repeats them, is not looked at. More than 8 bits become 8.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pi_heif

from imgproxy.engine import vips
from imgproxy.engine.readers import pillow
from imgproxy.engine.readers.family import Opened, Reader, Source
from imgproxy.engine.readers.still import Still
from imgproxy.errors import BrokenImage
from imgproxy.image import heif_brands
from imgproxy.image.filters.base import Image
from imgproxy.image.formats import Format
from imgproxy.image.header import ImageHeader

pi_heif.options.DECODE_THREADS = 1  # as many workers run as there are cores
pi_heif.options.THUMBNAILS = False
pi_heif.options.DEPTH_IMAGES = False
pi_heif.options.AUX_IMAGES = False

_BANDS = {"L": (1, "b-w"), "LA": (2, "b-w"), "RGB": (3, "srgb"), "RGBA": (4, "srgb")}


def _claims(first: bytes) -> Format | None:
    return Format.HEIC if heif_brands.is_heic(first) else None


def _open(source: Source, format_: Format, _dpi: float) -> Opened:
    with pillow.translated():
        file = pi_heif.open_heif(BytesIO(source.data), convert_hdr_to_8bit=True)
        image = file[file.primary_index]
        width, height = image.size
        mode, info = image.mode.removesuffix(";16"), image.info
    if mode not in _BANDS or min(width, height) < 1:
        raise BrokenImage("the source image is damaged: its header cannot be read")
    nclx = info.get("nclx_profile") or {}
    facts = ImageHeader(
        format_,
        width,
        height,
        alpha=bool(image.has_alpha),
        nclx=_coded(nclx) if not info.get("icc_profile") else None,
    )
    return Still(facts, lambda: _pixels(image, mode, info.get("icc_profile")))


def _coded(nclx: dict[str, Any]) -> tuple[int, int] | None:
    """Primaries and transfer by their numbers (ITU-T H.273)."""
    try:
        return int(nclx["color_primaries"]), int(nclx["transfer_characteristics"])
    except (KeyError, TypeError, ValueError):
        return None


def _pixels(image: Any, mode: str, profile: bytes | None) -> Image:
    bands, interpretation = _BANDS[mode]
    with pillow.translated():
        width, height = image.size
        data, row = bytes(image.data), width * bands
        if image.stride != row:
            data = b"".join(data[at : at + row] for at in range(0, image.stride * height, image.stride))
        if image.premultiplied_alpha:
            plain = vips.from_memory(data, width, height, bands, interpretation, profile)
            return plain.unpremultiply().cast("uchar")
    return vips.from_memory(data, width, height, bands, interpretation, profile)


HEIC = Reader("heic", (Format.HEIC,), _claims, _open)
