"""BMP, by Pillow."""

from __future__ import annotations

from io import BytesIO

from imgproxy.engine.readers import pillow
from imgproxy.engine.readers.family import Opened, Reader, Source, prefixed
from imgproxy.engine.readers.still import Still
from imgproxy.image.formats import Format
from imgproxy.image.header import ImageHeader


def _open(source: Source, format_: Format, _dpi: float) -> Opened:
    with pillow.translated():
        image = pillow.BmpImageFile(BytesIO(source.data))
    facts = ImageHeader(format_, image.width, image.height, alpha=pillow.has_alpha(image))
    return Still(facts, lambda: pillow.pixels(image))


BMP = Reader("bmp", (Format.BMP,), prefixed(Format.BMP, b"BM"), _open)
