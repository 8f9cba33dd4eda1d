"""MIME types: compatibility of declared types with the types of bytes. Pure.

A file is served with the type it was declared as, `nosniff`, so that this type is all a browser goes by. It
must be one that the bytes bear out, as far as bytes can: text may be any kind of text, a zip file any kind of
package, but nothing is an image that is not that image, and a program is a program.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from imgproxy.errors import FileTooLarge, FileTooSmall, InvalidFormat
from imgproxy.files.model import File
from imgproxy.files.sniff import EXECUTABLE, UNKNOWN

_ALIASES = {
    "application/csv": "text/csv",
    "application/javascript": "text/javascript",
    "application/ogg": "audio/ogg",
    "application/vnd.rar": "application/x-rar-compressed",
    "application/x-gzip": "application/gzip",
    "application/x-pdf": "application/pdf",
    "application/x-zip": "application/zip",
    "application/x-zip-compressed": "application/zip",
    "audio/mp3": "audio/mpeg",
    "audio/vnd.wave": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/x-flac": "audio/flac",
    "audio/x-m4a": "audio/mp4",
    "audio/x-wav": "audio/wav",
    "image/heif": "image/heic",
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/vnd.microsoft.icon": "image/x-icon",
    "image/x-ms-bmp": "image/bmp",
    "image/x-png": "image/png",
    "text/rtf": "application/rtf",
    "text/xml": "application/xml",
    "video/avi": "video/x-msvideo",
    "video/x-m4v": "video/mp4",
}

_TEXT = re.compile(
    r"text/(?!html$|rtf$).+|message/.+|.+\+(json|yaml)|application/(json|jsonl|x-ndjson|ndjson|yaml|x-yaml|toml"
    r"|sql|graphql|x-sh|x-httpd-php|x-subrip|x-tex|postscript|pgp-.+|x-pem-file|typescript|ecmascript"
    r"|vnd\.ms-excel|vnd\.apple\.mpegurl|x-mpegurl)|audio/(x-)?mpegurl|model/.+"  # Windows calls CSV ms-excel
)
_BORNE_OUT: dict[str, re.Pattern[str]] = {
    "text/plain": re.compile(rf"{_TEXT.pattern}|text/html"),
    "text/html": re.compile(r"text/.+|application/xhtml\+xml"),
    "image/svg+xml": re.compile(r"text/(?!html$).+|application/xml"),
    "application/xml": re.compile(r"(?!image/).+\+xml|text/(?!html$).+"),
    "application/zip": re.compile(
        r"application/(vnd\.(openxmlformats-officedocument|oasis\.opendocument|apple|ms-|google-earth).*"
        r"|epub\+zip|java-archive|x-.*zip.*)|model/.+"
    ),
    "application/x-ole-storage": re.compile(r"application/(msword|vnd\.ms-.+|vnd\.visio)"),
    "image/tiff": re.compile(r"image/x-.+"),  # the raw formats of cameras
    "video/mp4": re.compile(r"audio/mp4|video/(quicktime|3gpp2?)"),
    "video/quicktime": re.compile(r"video/mp4|audio/mp4"),
    "audio/mp4": re.compile(r"video/mp4"),
    "video/webm": re.compile(r"audio/webm|video/x-matroska"),
    "video/x-matroska": re.compile(r"audio/x-matroska|video/webm"),
    "audio/ogg": re.compile(r"(video|audio)/(ogg|opus)"),
}
"""By what the bytes are: what they may be declared as, beside that."""

_KNOWABLE = re.compile(
    r"(image|text)/.+|application/(pdf|zip|gzip|json|xml|rtf|xhtml\+xml)|.+\+(xml|json)"
    r"|application/vnd\.(openxmlformats|oasis).+|video/(mp4|webm|quicktime)|audio/(wav|flac|ogg|mp4)"
)
"""Types that would have been known, had the bytes been of them."""

_PACKAGE = re.compile(r"application/(vnd\.(openxmlformats|oasis)|epub).+")


def compatible(declared: str, sniffed: str) -> bool:
    """Say whether bytes that `sniff` found to be `sniffed` may go by `declared`."""
    wanted, found = normal(declared), normal(sniffed)
    if wanted == UNKNOWN:
        return True  # saved, and never shown
    if found == EXECUTABLE:
        return False
    if wanted == found:
        return True
    if found == UNKNOWN:
        return not _KNOWABLE.fullmatch(wanted)
    if _PACKAGE.fullmatch(found) and wanted == "application/zip":
        return True
    allowed = _BORNE_OUT.get(found)
    return bool(allowed and allowed.fullmatch(wanted))


def normal(kind: str) -> str:
    """Leave out parameters, and choose one of several names."""
    plain = kind.partition(";")[0].strip().lower()
    return _ALIASES.get(plain, plain)


def settle(said: str, found: str) -> str:
    """The type of a file that its client says is `said`, and its bytes `found`; raise `InvalidFormat`."""
    if not compatible(said, found):
        bytes_are = "of no type that is known" if found == UNKNOWN else found
        raise InvalidFormat(f"the file is said to be {normal(said)}, and its bytes are {bytes_are}")
    return found if normal(said) in (UNKNOWN, normal(found)) else normal(said)


def agree(file: File, *, mime_type: str, size: int) -> None:
    """Hold what is said of a file against what was found before; raise a `FilesError` for a lie."""
    settle(mime_type, file.mime_type)
    weigh(file.size, (size,))


def weigh(size: int, said: Iterable[int]) -> None:
    """Raise `FileTooLarge` or `FileTooSmall` for a size other than what was said."""
    for each in said:
        if size != each:
            kind = FileTooLarge if size > each else FileTooSmall
            raise kind(f"the file has {size} bytes, not {each} as was said")
