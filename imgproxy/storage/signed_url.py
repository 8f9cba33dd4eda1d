"""Leave to read or write one object, as a URL path of our own: what S3 calls a presigned URL.

    /-/KEY?expires=&type=&length=&limit=&disposition=&generation=&upload=&part=&signature=

A signed URL is a value, and everything it says is under its signature, the method too. One signed URL has one
signature, compared in constant time and as text: no second spelling of it passes. Pure: the secret and
the clock are handed in.
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
    """What may be done, with what, until when."""

    method: Method
    key: Key
    expires: int
    """Seconds since 1970; from then on it is void."""
    content_type: str | None = None
    """A PUT must say it, a GET is answered with it."""
    content_length: int | None = None
    """Bytes that a PUT must have."""
    disposition: str | None = None
    """What a GET is answered as `Content-Disposition`."""
    upload: str | None = None
    part: int | None = None
    """A PUT of one part of this upload."""
    limit: int | None = None
    """Maximum bytes of a PUT, or of all parts of its upload together."""
    generation: int | None = None
    """A GET of the file of this key, not of an object, as long as the file has this generation."""


_said = attrgetter(*(each.name for each in fields(SignedUrl)))  # astuple copies each value on its way


class UrlSigner:
    """Issue signed URLs, and reads those that it has issued."""

    def __init__(self, secret: bytes, *, clock: Callable[[], float]) -> None:
        """`clock` tells the seconds since 1970."""
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
        """Return the path of a signed URL that is good for `expires` seconds, as `Storage.presign` has it.

        With a `generation` the key is a file's, and the signed URL is void as soon as the file has another.
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
        """Return the path of a signed URL for one part, as `Multipart.presign` has it."""
        return self._issue("PUT", key, expires, limit=limit, upload=upload, part=number)

    def read(self, method: str, target: str) -> SignedUrl:
        """Read the raw target of a request; raise `NotSigned` unless it is signed and valid."""
        signed = parse(method, target, secret=self._secret)
        if self._clock() >= signed.expires:
            raise NotSigned("the URL has expired")
        return signed

    def _issue(self, method: Method, key: Key, expires: int, **bound: Any) -> str:
        return generate(SignedUrl(method, key, int(self._clock()) + expires, **bound), secret=self._secret)


class SignedUrlStorage:
    """A storage whose URLs lead to us."""

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
        """Return the path of a signed URL."""
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
    """Write a signed URL as a path with a query."""
    given = {name: getattr(signed, field) for name, field in _NAMES.items()}
    query = {name: value for name, value in given.items() if value is not None}
    query["signature"] = _signature(signed, secret)
    return f"{PREFIX}{quote(signed.key)}?{urlencode(query, quote_via=quote)}"


def parse(method: str, target: str, *, secret: bytes) -> SignedUrl:
    """Read what `generate` wrote, however a client has escaped it; raise `NotSigned` for anything else.

    Who may GET may ask for the headers alone.
    """
    path, _, query = target.partition("?")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict")
        given = dict(pairs)
        if len(given) != len(pairs) or not path.startswith(PREFIX):
            raise _refusal()
        signature = given.pop("signature")
        signed = _signed_url(method, unquote(path.removeprefix(PREFIX), errors="strict"), given)
    except (KeyError, TypeError, ValueError):  # UnicodeError is a ValueError
        raise _refusal() from None
    if not hmac.compare_digest(signature.encode(), _signature(signed, secret).encode()):
        raise _refusal()
    return signed


def _signed_url(method: str, key: str, given: dict[str, str]) -> SignedUrl:
    """Make a signed URL of a query; raise `KeyError`, `TypeError` or `ValueError` if it is none."""
    allowed: dict[str, Method] = {"GET": "GET", "HEAD": "GET", "PUT": "PUT"}
    bound = {_NAMES[name]: _number(text) if name in _NUMBERS else text for name, text in given.items()}
    return SignedUrl(method=allowed[method], key=Key(key), **bound)  # type: ignore[arg-type]


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return int(text)


def _signature(signed: SignedUrl, secret: bytes) -> str:
    said = json.dumps(_said(signed), separators=(",", ":")).encode()
    digest = hmac.digest(secret, said, "sha256")
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def _refusal() -> NotSigned:
    return NotSigned("the URL was not made for this request: it must be used as it was given")
