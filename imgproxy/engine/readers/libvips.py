"""JPEG, PNG, WebP, AVIF, GIF, TIFF and SVG, by libvips's own loaders, each called by name.

A JPEG with a gain map or further images (Ultra HDR, MPO) is read as its first image, in SDR. Of an animated
AVIF or PNG the first frame is read.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace

from imgproxy.engine import vips
from imgproxy.engine.readers import isobmff
from imgproxy.engine.readers.family import Opened, Reader, Source
from imgproxy.image import heif_brands
from imgproxy.image.formats import Format

_MARKS = (
    (0, b"\xff\xd8\xff", Format.JPEG),
    (0, b"\x89PNG\r\n\x1a\n", Format.PNG),
    (8, b"WEBP", Format.WEBP),
    (0, b"GIF87a", Format.GIF),
    (0, b"GIF89a", Format.GIF),
    (0, b"II*\0", Format.TIFF),
    (0, b"MM\0*", Format.TIFF),
    (0, b"II+\0", Format.TIFF),  # BigTIFF
    (0, b"MM\0+", Format.TIFF),
)

_PROLOGUE = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:\s+|<!--.*?-->|<\?.*?\?>|<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>)*", re.S | re.I
)
_SVG = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?svg[\s/>]")


def _claims(first: bytes) -> Format | None:
    for at, mark, format_ in _MARKS:
        if first.startswith(mark, at):
            return format_
    if heif_brands.is_avif(first):
        return Format.AVIF
    return Format.SVG if _is_svg(first) else None


def _is_svg(first: bytes) -> bool:
    """Return whether the first element is `<svg>`, after comments, a prologue and a DOCTYPE of any length."""
    if first[:2] in (b"\xff\xfe", b"\xfe\xff"):
        first = first[: len(first) // 2 * 2].decode("utf-16", "replace").encode()
    prologue = _PROLOGUE.match(first)
    return prologue is not None and _SVG.match(first, prologue.end()) is not None


def _open(source: Source, format_: Format, _dpi: float) -> Opened:
    opened = vips.open_image(source.descriptor, format_)
    if format_ is Format.AVIF:
        nclx = isobmff.nclx(lambda at, count: os.pread(source.descriptor, count, at))
        opened = replace(opened, facts=replace(opened.facts, nclx=nclx))
    return opened


LIBVIPS = Reader(
    "libvips",
    (Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF, Format.GIF, Format.TIFF, Format.SVG),
    _claims,
    _open,
)
