"""Encoding of an image's name for a URL: the inverse of `image.source.decode_name`."""

from __future__ import annotations

import base64
from urllib.parse import quote

from imgproxy.errors import BadKey
from imgproxy.image.source import decode_name

BREAKS = "\n\v\f\r\x85\u2028\u2029"
"""Line breaks, which imagor deletes from every URL and name before it reads."""

NO_BREAKS = {ord(each): None for each in BREAKS}

_KEPT = "$&=:@"  # as Go's PathEscape, except '+', which decodes to a space


def escaped(image: str) -> str:
    """Percent-encode a name, slashes included, so that no part of it looks like an option."""
    text = quote(_bytes(image), safe=_KEPT)
    if text.startswith("filters:"):
        text = text.replace(":", "%3A", 1)
    return _reversible(text, image)


def base64_name(image: str) -> str:
    """Return a name as `b64:` and base64url without padding."""
    encoded = base64.urlsafe_b64encode(_bytes(image)).decode().rstrip("=")
    return _reversible(f"b64:{encoded}", image)


def reads_as_base64(image: str) -> bool:
    """Return whether this name, written plainly, would be decoded again."""
    return image.startswith("b64:") and decode_name(quote(_bytes(image)))[1]


def _bytes(image: str) -> bytes:
    try:
        return image.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise BadKey("the name is not text that a URL can hold") from None


def _reversible(text: str, image: str) -> str:
    if decode_name(text)[0] != image:  # surrogates that together are a letter
        raise BadKey("the name is not text that a URL can hold")
    return text
