"""The source of an image: an object in storage, or a plain colour.

Keys are checked here and nowhere else. A valid key is relative, has no dot segments, and is the only
text for its object, so no two keys share a cache entry and none leaves a folder.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from dataclasses import dataclass
from typing import NewType
from urllib.parse import unquote_to_bytes

from imgproxy.errors import BadKey
from imgproxy.image.colour import Colour, parse_colour

Key = NewType("Key", str)

MAX_KEY_BYTES = 1024  # as S3 has it


@dataclass(frozen=True, slots=True)
class PlainColour:
    """A generated image of one colour: the source of `color:red` (imagor)."""

    colour: Colour


Source = Key | PlainColour


_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")


def decode_name(text: str) -> tuple[str, bool]:
    """Decode the image segment of a URL once, as imagor does; return also whether it was base64url.

    `+` is a space; a text with any broken escape stays as it is; `b64:` that does not decode is taken
    literally. Bytes that are not UTF-8 come through as surrogates, which no key may hold.
    """
    plain = text
    if not _BROKEN_ESCAPE.search(text):
        raw = text.replace("+", " ").encode("utf-8", "surrogateescape")
        plain = unquote_to_bytes(raw).decode("utf-8", "surrogateescape")
    encoded = plain.removeprefix("b64:")
    if encoded == plain or not _BASE64URL.fullmatch(encoded):
        return plain, False
    try:
        raw = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except binascii.Error:
        return plain, False
    return raw.decode("utf-8", "surrogateescape"), True


def parse_source(text: str) -> Source:
    """Parse the decoded image segment of a URL; raise `BadKey` or `BadArgument`."""
    if text.startswith("color:"):
        return PlainColour(parse_colour(text.removeprefix("color:"), "color"))
    return parse_key(text)


def parse_key(text: str) -> Key:
    """Validate a decoded key; raise `BadKey` with the reason.

    A `%` that is left after decoding might be decoded again by a later component, so it is refused. So are
    control characters, which break headers and logs.
    """
    if not text:
        raise BadKey("the URL names no image: a key is expected after the last option")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise BadKey("the key is not valid UTF-8") from None
    if size > MAX_KEY_BYTES:
        raise BadKey(f"the key has {size} bytes: at most {MAX_KEY_BYTES} are allowed")
    if "\\" in text:
        raise BadKey("the key holds a backslash: folders are separated by '/'")
    if "%" in text:
        raise BadKey("the key still holds '%' after decoding once: is it encoded twice?")
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in text):
        raise BadKey("the key holds a control character")
    for segment in text.split("/"):
        if segment in ("", ".", ".."):
            shown = f"'{segment}'" if segment else "an empty one"
            raise BadKey(f"the key has a segment that names no object: {shown}")
    return Key(text)
