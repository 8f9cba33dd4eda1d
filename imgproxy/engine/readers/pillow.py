"""Door to Pillow: single plugins, each called by its class.

`PIL.Image.open` is never called: it imports plugins when first used, and tries all of them on any bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import BmpImagePlugin, IcoImagePlugin, Jpeg2KImagePlugin, PngImagePlugin
from PIL import Image as PillowImage

from imgproxy.engine import vips
from imgproxy.errors import BrokenImage, ImageTooLarge
from imgproxy.image.filters.base import Image

PillowImage.MAX_IMAGE_PIXELS = None  # limits are ours, and come before

BmpImageFile = BmpImagePlugin.BmpImageFile
IcoFile = IcoImagePlugin.IcoFile
Jpeg2KImageFile = Jpeg2KImagePlugin.Jpeg2KImageFile
PngImageFile = PngImagePlugin.PngImageFile

_INTERPRETATIONS = {
    "L": (1, "b-w"),
    "LA": (2, "b-w"),
    "RGB": (3, "srgb"),
    "RGBA": (4, "srgb"),
    "CMYK": (4, "cmyk"),
}


@contextmanager
def translated() -> Iterator[None]:
    """Turn what Pillow raises for a damaged file into `BrokenImage`."""
    try:
        yield
    except MemoryError:
        raise ImageTooLarge("the image needs more memory than is allowed") from None
    except (
        ArithmeticError, AttributeError, EOFError, LookupError, OSError, RuntimeError, SyntaxError, TypeError,
        ValueError, struct.error,
    ) as error:  # fmt: skip
        raise BrokenImage("the source image is damaged: its pixels cannot be decoded") from error


def has_alpha(image: Any) -> bool:
    """Return whether pixels of an opened file may be transparent."""
    return image.mode in ("LA", "RGBA", "PA", "La", "RGBa") or "transparency" in image.info


def pixels(image: Any) -> Image:
    """Decode, and copy the pixels and the colour profile into libvips."""
    with translated():
        image.load()
        if image.mode == "I;16":
            return vips.from_memory(
                image.tobytes(), image.width, image.height, 1, "grey16", image.info.get("icc_profile")
            )
        if image.mode not in _INTERPRETATIONS:
            image = image.convert("RGBA" if has_alpha(image) else "L" if image.mode == "1" else "RGB")
        bands, interpretation = _INTERPRETATIONS[image.mode]
        return vips.from_memory(
            image.tobytes(), image.width, image.height, bands, interpretation, image.info.get("icc_profile")
        )
