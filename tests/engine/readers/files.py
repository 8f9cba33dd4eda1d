"""Files that libvips does not write: drawn by Pillow, by the libraries that the readers use, or by hand."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import numpy as np
import pillow_heif
import pillow_jxl  # noqa: F401  registers itself with Pillow
from PIL import Image

from tests.pictures import CORNERS, Pixels

pillow_heif.register_heif_opener()


def quarters(width: int, height: int, *, alpha: int | None = None) -> Pixels:
    """Four colours, one in each quarter; with alpha if told."""
    colours = [(*colour, alpha) if alpha is not None else colour for colour in CORNERS]
    drawn = np.empty((height, width, len(colours[0])), np.uint8)
    for index, colour in enumerate(colours):
        down = slice(height // 2, None) if index >= 2 else slice(0, height // 2)
        across = slice(width // 2, None) if index % 2 else slice(0, width // 2)
        drawn[down, across] = colour
    return drawn


def pillowed(pixels: Pixels, kind: str, mode: str | None = None, **options: Any) -> bytes:
    """Pixels as a file of Pillow's, in one of its modes."""
    image = Image.fromarray(pixels)
    if mode is not None:
        image = image.convert(mode)
    with BytesIO() as file:
        image.save(file, kind, **options)
        return file.getvalue()


def pdf(width: float, height: float, *pages: str) -> bytes:
    """A PDF of pages of one size in points, each drawn by a content stream."""
    objects = ["<</Type/Catalog/Pages 2 0 R>>"]
    kids = " ".join(f"{3 + 2 * number} 0 R" for number in range(len(pages)))
    objects.append(f"<</Type/Pages/Count {len(pages)}/Kids[{kids}]>>")
    for number, content in enumerate(pages):
        objects.append(
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 {width} {height}]/Contents {4 + 2 * number} 0 R>>"
        )
        objects.append(f"<</Length {len(content)}>>stream\n{content}\nendstream")
    body, places = b"%PDF-1.4\n", []
    for number, text in enumerate(objects, 1):
        places.append(len(body))
        body += f"{number} 0 obj{text}endobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    return (
        body
        + (
            f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer<</Size {size}/Root 1 0 R>>\n"
            f"startxref\n{len(body)}\n%%EOF"
        ).encode()
    )


def boxes(*named: tuple[bytes, bytes]) -> bytes:
    """Boxes of an ISO base media file."""
    return b"".join(struct.pack(">I4s", 8 + len(body), name) + body for name, body in named)
