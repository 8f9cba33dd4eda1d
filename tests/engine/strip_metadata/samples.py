"""Images with personal metadata of every kind; what must go says SECRET."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy
import pillow_heif
import pillow_jxl  # noqa: F401  writes JPEG XL
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from imgproxy.image.formats import Format

pillow_heif.register_heif_opener()

SECRET = b"SECRET"
ORIENTATION, GPS = 0x0112, 0x8825
_XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>SECRET</x:xmpmeta>"
_PIXELS = numpy.random.RandomState(1).randint(0, 255, (24, 36, 3), dtype=numpy.uint8)


def exif() -> Image.Exif:
    """EXIF of a photo that was turned, with its place and its maker's notes."""
    made = Image.Exif()
    made[ORIENTATION] = 6
    made[0x010F], made[0x013B] = "SECRET camera", "SECRET artist"
    made.get_ifd(GPS).update({1: "N", 2: (48.0, 51.0, 29.5), 29: "SECRET day"})
    made.get_ifd(0x8769).update({0x927C: b"SECRET maker note"})
    return made


def saved(kind: str, **options: Any) -> bytes:
    with BytesIO() as file:
        Image.fromarray(_PIXELS).save(file, kind, **options)
        return file.getvalue()


def film(kind: str, **options: Any) -> bytes:
    """Two frames."""
    first, second = Image.fromarray(_PIXELS), Image.fromarray(255 - _PIXELS)
    with BytesIO() as file:
        first.save(file, kind, save_all=True, append_images=[second], **options)
        return file.getvalue()


def pixels(data: bytes) -> Any:
    """Frames as decoded."""
    with Image.open(BytesIO(data)) as image:
        frames = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            frames.append(numpy.array(image.convert("RGBA")))
        return numpy.stack(frames)


def read_exif(data: bytes) -> dict[int, Any]:
    with Image.open(BytesIO(data)) as image:
        return dict(image.getexif())


def jpeg(**options: Any) -> bytes:
    return saved("JPEG", exif=exif(), xmp=_XMP, comment=b"SECRET", **options)


def png() -> bytes:
    text = PngInfo()
    text.add_text("Comment", "SECRET")
    text.add_itxt("XML:com.adobe.xmp", "SECRET")
    text.add_text("Raw profile type exif", "SECRET", zip=True)
    return saved("PNG", exif=exif(), pnginfo=text) + b"SECRET behind the end"


def gif() -> bytes:
    """A comment, and XMP in an extension of an application."""
    made = film("GIF", loop=3, comment=b"SECRET")
    xmp = b"\x21\xff\x0bXMP DataXMP" + _XMP + bytes((1, *range(255, -1, -1), 0))
    at = 13 + (3 << (made[10] & 7) + 1 if made[10] & 0x80 else 0)
    return made[:at] + xmp + made[at:] + b"SECRET"


def jp2() -> bytes:
    box = b"uuid" + bytes(16) + SECRET
    return saved("JPEG2000") + (len(box) + 4).to_bytes(4, "big") + box


SAMPLES: dict[str, tuple[Format, bytes]] = {
    "jpeg": (Format.JPEG, jpeg()),
    "progressive jpeg": (Format.JPEG, jpeg(progressive=True)),
    "jpeg before a film": (Format.JPEG, jpeg() + b"\0\0\0\x18ftypmp42 SECRET"),
    "png": (Format.PNG, png()),
    "webp": (Format.WEBP, saved("WEBP", exif=exif(), xmp=_XMP)),
    "webp film": (Format.WEBP, film("WEBP", exif=exif(), xmp=_XMP, lossless=True)),
    "gif": (Format.GIF, gif()),
    "tiff": (Format.TIFF, saved("TIFF", exif=exif(), description="SECRET", software="SECRET")),
    "big tiff": (Format.TIFF, saved("TIFF", big_tiff=True, exif=exif(), artist="SECRET")),
    "avif": (Format.AVIF, saved("AVIF", exif=exif(), xmp=_XMP)),
    "heic": (Format.HEIC, saved("HEIF", exif=exif().tobytes(), xmp=_XMP)),
    "jxl": (Format.JXL, saved("JXL", exif=exif().tobytes())),
    "jp2": (Format.JP2, jp2()),
}
