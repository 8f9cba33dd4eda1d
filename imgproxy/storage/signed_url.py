"""Signed URLs of the object gateway, for one GET or PUT: the counterpart of S3's presigned URLs.

    /-/KEY?expires=&type=&length=&limit=&disposition=&generation=&upload=&part=&signature=

The signature covers every field and the method. Only one spelling of a signature is accepted, and it is
compared in constant time. Pure: the secret and the clock are parameters.
"""

from __future__ import annotations

import hmac
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode

from imgproxy.errors import NotSigned
from imgproxy.image.source import Key

PREFIX = "/-/"
Method = Literal["GET", "PUT"]

_NUMBERS = {
    "expires": "expires",
    "length": "content_length",
    "limit": "limit",
    "part": "part",
    "generation": "generation",
}
_TEXTS = {"type": "content_type", "disposition": "disposition", "upload": "upload"}
_NAMES = {**_NUMBERS, **_TEXTS}
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SignedUrl:
    """The permission that a signed URL grants."""

    method: Method
    key: Key
    expires: int
    """Seconds since 1970; invalid from then on."""
    content_type: str | None = None
    """Required type of a PUT; type of the response to a GET."""
    content_length: int | None = None
    """Exact bytes of a PUT."""
    disposition: str | None = None
    """`Content-Disposition` of the response to a GET."""
    upload: str | None = None
    part: int | None = None
    """A PUT of one part of this upload."""
    limit: int | None = None
    """Maximum bytes of a PUT, or of all parts of its upload together."""
    generation: int | None = None
    """Set for the GET of a file, not of an object: the URL ends when the file has another generation."""


_values = attrgetter(*(each.name for each in fields(SignedUrl)))  # `astuple` would copy each value


class UrlSigner:
    """Creates signed URLs and verifies them."""

    def __init__(self, secret: bytes, *, clock: Callable[[], float]) -> None:
        """`clock` returns the seconds since 1970."""
        self._secret = secret
        self._clock = clock

    def presign(
        self,
        method: Method,
        key: Key,
        *,
        expires: int,
        content_type: str | None = None,
        content_length: int | None = None,
        limit: int | None = None,
        disposition: str | None = None,
        generation: int | None = None,
    ) -> str:
        """Return a path that is valid for `expires` seconds; see `Storage.presign`.

        With a `generation` the key is a file's, and the URL ends when the file has another generation.
        """
        bound: dict[str, Any] = (
            {"disposition": disposition, "generation": generation}
            if method == "GET"
            else {"content_length": content_length, "limit": limit}
        )
        return self._issue(method, key, expires, content_type=content_type, **bound)

    def presign_part(
        self, key: Key, upload: str, *, number: int, expires: int, limit: int | None = None
    ) -> str:
        """Return a path for one part; see `Multipart.presign`."""
        return self._issue("PUT", key, expires, limit=limit, upload=upload, part=number)

    def read(self, method: str, target: str) -> SignedUrl:
        """Verify the raw target of a request; raise `NotSigned` unless it is signed and valid."""
        signed = parse(method, target, secret=self._secret)
        if self._clock() >= signed.expires:
            raise NotSigned("the URL has expired")
        return signed

    def _issue(self, method: Method, key: Key, expires: int, **bound: Any) -> str:
        return generate(SignedUrl(method, key, int(self._clock()) + expires, **bound), secret=self._secret)


class SignedUrlStorage:
    """Base of storages whose URLs are those of the object gateway."""

    url_signer: UrlSigner

    async def presign(
        self,
        method: Method,
        key: Key,
        *,
        expires: int,
        content_type: str | None = None,
        content_length: int | None = None,
        limit: int | None = None,
        disposition: str | None = None,
    ) -> str:
        return self.url_signer.presign(
            method,
            key,
            expires=expires,
            content_type=content_type,
            content_length=content_length,
            limit=limit,
            disposition=disposition,
        )


def generate(signed: SignedUrl, *, secret: bytes) -> str:
    """Return the path and query of a signed URL."""
    values = {name: getattr(signed, field) for name, field in _NAMES.items()}
    query = {name: value for name, value in values.items() if value is not None}
    query["signature"] = _signature(signed, secret)
    return f"{PREFIX}{quote(signed.key)}?{urlencode(query, quote_via=quote)}"


def parse(method: str, target: str, *, secret: bytes) -> SignedUrl:
    """Parse the output of `generate`, however a client escaped it; raise `NotSigned` otherwise.

    A signed GET also allows HEAD.
    """
    path, _, query = target.partition("?")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict")
        values = dict(pairs)
        if len(values) != len(pairs) or not path.startswith(PREFIX):
            raise _refusal()
        signature = values.pop("signature")
        signed = _signed_url(method, unquote(path.removeprefix(PREFIX), errors="strict"), values)
    except (KeyError, TypeError, ValueError):  # UnicodeError is a ValueError
        raise _refusal() from None
    if not hmac.compare_digest(signature.encode(), _signature(signed, secret).encode()):
        raise _refusal()
    return signed


def _signed_url(method: str, key: str, values: dict[str, str]) -> SignedUrl:
    """Return the permission in a query; raise `KeyError`, `TypeError` or `ValueError` if it is none."""
    allowed: dict[str, Method] = {"GET": "GET", "HEAD": "GET", "PUT": "PUT"}
    bound = {_NAMES[name]: _number(text) if name in _NUMBERS else text for name, text in values.items()}
    return SignedUrl(method=allowed[method], key=Key(key), **bound)  # type: ignore[arg-type]


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return int(text)


def _signature(signed: SignedUrl, secret: bytes) -> str:
    signed_text = json.dumps(_values(signed), separators=(",", ":")).encode()
    digest = hmac.digest(secret, signed_text, "sha256")
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def _refusal() -> NotSigned:
    return NotSigned("the URL was not made for this request: it must be used as it was given")
