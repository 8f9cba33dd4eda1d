"""Type of bytes by their content. Pure; takes up to 4 ms, so call it in a thread.

What a browser might run or show is told by the table of the standard that browsers follow
(https://mimesniff.spec.whatwg.org), containers by what lies in them, and the rest by puremagic, whose
collection is wide and kept, and pure Python: no parser in C touches a stranger's bytes here. Text has no
signature; whatever reads as text is `text/plain`, and `declared.compatible` says what that may be.
"""

from __future__ import annotations

import codecs
import re

import puremagic

from imgproxy.image import heif_brands

SNIFFED_BYTES = 8192
"""Bytes at the start of an object that are inspected."""

UNKNOWN = "application/octet-stream"
EXECUTABLE = "application/x-executable"
"""Type of every program that a machine would run."""

_SIGNATURES = (  # offset, bytes, type; the first that fits
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "image/jp2"),
    (0, b"\xff\x4f\xff\x51", "image/jp2"),
    (0, b"\xff\x0a", "image/jxl"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "image/jxl"),
    (0, b"\0\0\1\0", "image/x-icon"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBPVP", "image/webp"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (0, b"II+\0", "image/tiff"),  # BigTIFF
    (0, b"MM\0+", "image/tiff"),
    (0, b"%PDF-", "application/pdf"),
    (8, b"WAVE", "audio/wav"),
    (8, b"AVI ", "video/x-msvideo"),
    (0, b"fLaC", "audio/flac"),
    (0, b"\x1f\x8b\x08", "application/gzip"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (0, b"\x7fELF", EXECUTABLE),
    (0, b"\0asm", EXECUTABLE),
    (0, b"\xca\xfe\xba\xbe", EXECUTABLE),
    (0, b"\xfe\xed\xfa\xce", EXECUTABLE),
    (0, b"\xfe\xed\xfa\xcf", EXECUTABLE),
    (0, b"\xce\xfa\xed\xfe", EXECUTABLE),
    (0, b"\xcf\xfa\xed\xfe", EXECUTABLE),
)
_BRANDS = (  # ISO base media files, by their major brand (https://mp4ra.org/registered-types/brands)
    (("heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"), "image/heic"),
    (("qt  ",), "video/quicktime"),
    (("M4A ", "M4B ", "M4P ", "F4A ", "F4B "), "audio/mp4"),
    (("iso", "mp4", "avc1", "dash", "M4V", "MSNV", "3gp", "3g2", "F4V", "cmf", "ndsc"), "video/mp4"),
)
_PACKED = (  # zip files, by a name in them
    (re.compile(rb"PK\x03\x04.{26}word/", re.S), "wordprocessingml.document"),
    (re.compile(rb"PK\x03\x04.{26}xl/", re.S), "spreadsheetml.sheet"),
    (re.compile(rb"PK\x03\x04.{26}ppt/", re.S), "presentationml.presentation"),
)
_OFFICE = "application/vnd.openxmlformats-officedocument."
_NAMED_FIRST = re.compile(rb"PK\x03\x04.{26}mimetype(application/[\w.+-]{1,80}?)(?=PK)", re.S)

_SKIPPED = re.compile(r"(?:\s|<!--.*?-->|<\?.*?\?>)*", re.S)
_ROOT = re.compile(r"<(?:!doctype\s+)?(?:[\w-]+:)?([a-z!][a-z0-9]*)", re.I)
_HTML = re.compile(
    "html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p|meta|link|img|form|input|object"
    "|embed|base|frameset|math|video|audio"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def sniff(first: bytes, name: str = "") -> str:
    """Return the type of what begins with `first`; its `name` decides only where bytes leave a choice."""
    first = first[:SNIFFED_BYTES]
    text = _text(first)
    if text is not None:
        return _pdf_or_text(first, text)
    return _signed(first) or _contained(first) or _collected(first, name) or UNKNOWN


def _text(first: bytes) -> str | None:
    """Decode what reads as text; the last character may be cut off."""
    encoding = next((encoding for bom, encoding in _BOMS if first.startswith(bom)), "utf-8")
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(first)
    except UnicodeDecodeError:
        return None
    return None if _CONTROL.search(text) else text


def _pdf_or_text(first: bytes, text: str) -> str:
    """Tell text apart: a GIF or PDF without a binary byte in its beginning is one all the same."""
    signed = _signed(first)
    if signed is not None:
        return signed
    if first.startswith(b"{\\rtf"):
        return "application/rtf"
    return _markup(text)


def _markup(text: str) -> str:
    """Tell markup by its first element, behind comments and prologue, as a browser would see it."""
    text = text.removeprefix("\ufeff")
    skipped = _SKIPPED.match(text)
    root = _ROOT.match(text, skipped.end() if skipped else 0)
    element = root[1].lower() if root else ""
    if element == "svg":
        return "image/svg+xml"
    if _HTML.fullmatch(element):
        return "text/html"
    return "application/xml" if text.lstrip().startswith("<?xml") else "text/plain"


def _signed(first: bytes) -> str | None:
    if first.startswith(b"MZ") and _text(first) is None:
        return EXECUTABLE
    return next((kind for at, mark, kind in _SIGNATURES if first.startswith(mark, at)), None)


def _contained(first: bytes) -> str | None:
    """Look into containers."""
    if first[4:8] == b"ftyp":
        if heif_brands.is_avif(first):
            return "image/avif"
        brand = first[8:12].decode("latin-1")
        return next((kind for majors, kind in _BRANDS if brand.startswith(majors)), None)
    if first.startswith(b"BM"):  # behind text, which may begin so
        return "image/bmp"
    if first.startswith(b"\x1a\x45\xdf\xa3"):
        return "video/webm" if b"webm" in first[:64] else "video/x-matroska"
    if first.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zipped(first)
    return None


def _zipped(first: bytes) -> str:
    named = _NAMED_FIRST.match(first)
    if named:
        return named[1].decode()
    office = next((kind for sign, kind in _PACKED if sign.search(first)), None)
    return _OFFICE + office if office else "application/zip"


def _collected(first: bytes, name: str) -> str | None:
    """Ask the collection; among its best guesses, the name's extension decides."""
    try:
        found = [each for each in puremagic.magic_string(first) if each.mime_type]
    except (puremagic.PureError, ValueError):
        return None
    best = [each for each in found if each.confidence == found[0].confidence]
    fitting = (each for each in best if name.lower().endswith(each.extension))
    return next(fitting, best[0]).mime_type if best else None
