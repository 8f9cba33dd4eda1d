"""Headers of a download: its type, and whether a browser may show it in place. Pure.

A browser runs what it takes for a page, a script or a style sheet, as code of the origin that it came from.
Such a file is always an attachment, on every storage. Our own responses are sandboxed and `nosniff` besides,
S3's cannot be: so it is sent as `application/octet-stream` everywhere, which no browser displays, and under
`nosniff` none runs. SVG keeps its type, because `<img>` needs it and runs nothing of it.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal
from urllib.parse import quote

from imgproxy.files.mime_types import normal
from imgproxy.files.model import File
from imgproxy.files.sniff import UNKNOWN

Disposition = Literal["attachment", "inline"]

PLAIN = "text/plain"
_SHOWN = re.compile(r"(image|audio|video)/.+|text/plain|application/pdf")
_SVG = re.compile(r"image/svg.*")
_ACTIVE = re.compile(  # scripts by https://mimesniff.spec.whatwg.org/#javascript-mime-type
    r"text/(html|css|xml|xsl).*|application/xml.*|.+\+xml"
    r"|(text|application)/(x-)?(java|ecma|live|j|vb)script[0-9.]*"
)
_UNSAFE = re.compile(r"[^A-Za-z0-9._ -]")


def content_type(file: File) -> str:
    """Return the `Content-Type` of a download."""
    kind = normal(file.mime_type)
    return UNKNOWN if _ACTIVE.fullmatch(kind) and not _SVG.fullmatch(kind) else file.mime_type


def content_disposition(file: File, wanted: Disposition) -> str:
    """Return the `Content-Disposition` of a download (RFC 6266): `inline` if wanted, and safe."""
    kind = normal(file.mime_type)
    active = _ACTIVE.fullmatch(kind) or _SVG.fullmatch(kind)
    shown = wanted if _SHOWN.fullmatch(kind) and not active else "attachment"
    name = file.original_name
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = _UNSAFE.sub("_", letters).strip() or "file"
    extended = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='', errors='replace')}"
    return f'{shown}; filename="{plain}"{extended}'
