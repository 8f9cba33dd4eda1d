"""How an image's name is written in a URL: the inverse of `image.source.decode_name`."""

from __future__ import annotations

import base64
import posixpath
from urllib.parse import quote, quote_plus

from imgproxy.errors import BadKey
from imgproxy.image.source import decode_name

BREAKS = "\n\v\f\r\x85\u2028\u2029"
"""Line breaks, which imagor deletes from every URL and name before it reads."""

NO_BREAKS = {ord(each): None for each in BREAKS}

_KEPT = "$&=:@"  # what Go's PathEscape keeps, save '+', which reads back as a space


def escaped(image: str) -> str:
    """Percent-encode a name, slashes included, so that no part of it can pass for an option."""
    text = quote(_bytes(image), safe=_KEPT)
    if text.startswith("filters:"):
        text = text.replace(":", "%3A", 1)
    return _proven(text, image)


def base64_name(image: str) -> str:
    """Write a name as `b64:`, base64url without padding."""
    encoded = base64.urlsafe_b64encode(_bytes(image)).decode().rstrip("=")
    return _proven(f"b64:{encoded}", image)


def reads_as_base64(image: str) -> bool:
    """Whether this name, written plainly, would be decoded once more."""
    return image.startswith("b64:") and decode_name(quote(_bytes(image)))[1]


def _bytes(image: str) -> bytes:
    try:
        return image.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise BadKey("the name is not text that a URL can hold") from None


def _proven(text: str, image: str) -> str:
    if decode_name(text)[0] != image:  # surrogates that together are a letter
        raise BadKey("the name is not text that a URL can hold")
    return text


def normalize(image: str, safe: str = "") -> str:
    """The key under which imagor stores an image (imagorpath.Normalize): for who brings its bucket along.

    `safe` are further characters left as they are; `--` leaves all.
    """
    path = posixpath.normpath(image.translate(NO_BREAKS)).strip("/")
    return path if safe == "--" else quote_plus(path, safe=f"/{safe}")
