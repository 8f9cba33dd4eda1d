"""JPEG 2000, as a file (JP2) or a bare codestream, by Pillow."""

from __future__ import annotations

from io import BytesIO

from imgproxy.engine.readers import pillow
from imgproxy.engine.readers.family import Opened, Reader, Source, prefixed
from imgproxy.engine.readers.still import Still
from imgproxy.image.formats import Format
from imgproxy.image.header import ImageHeader


def _open(source: Source, format_: Format, _dpi: float) -> Opened:
    with pillow.translated():
        image = pillow.Jpeg2KImageFile(BytesIO(source.data))
    facts = ImageHeader(format_, image.width, image.height, alpha=pillow.has_alpha(image))
    return Still(facts, lambda: pillow.pixels(image))


JPEG2000 = Reader(
    "jpeg2000",
    (Format.JP2,),
    prefixed(Format.JP2, b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
    _open,
)
