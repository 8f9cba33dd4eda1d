"""PDF, by PDFium through pypdfium2: a page, drawn as large as it is wanted, on white.

A page is measured in points, 72 to an inch; `dpi` is the pixels per inch where the URL has no size.
Links, forms and scripts are not drawn; a file with a password is not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pypdfium2

from imgproxy.engine import vips
from imgproxy.engine.readers import pillow
from imgproxy.engine.readers.family import Opened, Reader, Source
from imgproxy.errors import BrokenImage, UnsupportedImage
from imgproxy.image.filters.base import Image
from imgproxy.image.formats import Format
from imgproxy.image.header import ImageHeader

_POINTS = 72
_HEAD = 1024  # bytes; where readers look for the mark (ISO 32000-1, annex H, note 13)


def _claims(first: bytes) -> Format | None:
    return Format.PDF if b"%PDF-" in first[:_HEAD] else None


@dataclass(frozen=True, slots=True)
class _Document:
    """See `family.Opened`."""

    document: Any
    dpi: float
    number: int
    facts: ImageHeader

    def page(self, number: int) -> _Document:
        return _at(self.document, self.dpi, number)

    def load(self, *, shrink: float, first: int, count: int, sequential: bool) -> Image:  # noqa: ARG002
        scale = self.dpi / _POINTS / shrink
        with _translated():
            bitmap = self.document[self.number].render(
                scale=scale, rev_byteorder=True, draw_annots=True, may_draw_forms=False
            )
            data, row = bytes(bitmap.buffer), bitmap.width * bitmap.n_channels
            if bitmap.stride != row:
                rows = range(0, bitmap.stride * bitmap.height, bitmap.stride)
                data = b"".join(data[at : at + row] for at in rows)
            image = vips.from_memory(data, bitmap.width, bitmap.height, bitmap.n_channels, "srgb", None)
            bitmap.close()
        return image


def _open(source: Source, _format: Format, dpi: float) -> Opened:
    with _translated():
        document = pypdfium2.PdfDocument(source.data)
    return _at(document, dpi, 0)


def _at(document: Any, dpi: float, number: int) -> _Document:
    with _translated():
        pages = len(document)
        if pages < 1:
            raise BrokenImage("the source image is damaged: it has no pages")
        width, height = (side * dpi / _POINTS for side in document[number].get_size())
    if not (width > 0 and height > 0):
        raise BrokenImage("the source image is damaged: its page has no size")
    facts = ImageHeader(
        Format.PDF, max(1, round(width)), max(1, round(height)), pages=pages, exact=(width, height)
    )
    return _Document(document, dpi, number, facts)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        with pillow.translated():
            yield
    except BrokenImage as error:
        if "password" in str(error.__cause__).lower():
            raise UnsupportedImage(
                "the source image is a PDF with a password, which we do not read"
            ) from None
        raise


PDF = Reader("pdf", (Format.PDF,), _claims, _open)
