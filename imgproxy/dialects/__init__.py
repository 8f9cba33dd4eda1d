"""URL dialects, and the grammar of a deployment. Pure.

`Grammar.read` turns a raw request target into an `ImageRequest`, or raises a `RequestError` that says what is
wrong with it. All sizes, filters and keys of a request are checked; `Dialect.verify` checks its signature.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from imgproxy.dialects import presets as _presets
from imgproxy.dialects.dialect import Dialect
from imgproxy.dialects.query import QUERY
from imgproxy.dialects.request import Params, transform
from imgproxy.dialects.source_path import BREAKS
from imgproxy.dialects.thumbor import THUMBOR, check_length
from imgproxy.errors import BadUrl, RequestError
from imgproxy.image.cost import require_affordable
from imgproxy.image.plan import UNBOUNDED, Ceiling
from imgproxy.image.source import Key, Source, parse_key, parse_source
from imgproxy.image.transform import Limits, Transform

DIALECTS: tuple[Dialect, ...] = (QUERY, THUMBOR)
"""In order of matching; the last matches every target."""

_ORIGIN = re.compile(r"\Ahttps?://[^/?#]*", re.IGNORECASE)
_FORBIDDEN = re.compile(rf"[\x00-\x1f\x7f#{BREAKS}]")
_STRUCTURE = re.compile(r"%(28|29|3[AaDd]|2[Cc])")
_NEEDLESS = re.compile(r"%([2-7][0-9A-Fa-f])")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")

Answer = Literal["image", "meta", "params"]


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """One parsed and checked URL."""

    answer: Answer
    dialect: Dialect
    params: Params
    transform: Transform
    source: Source | None
    """The source image; None for `/params`, which shows any name and opens none."""
    keys: tuple[Key, ...] = ()
    """Keys of further objects that the image needs, in order of first use."""
    unsafe: bool = False
    """Whether the URL begins with `unsafe/`."""

    @property
    def signature(self) -> str | None:
        """The signature in the URL."""
        return self.params.hash or None


@dataclass(frozen=True, slots=True)
class Grammar:
    """The dialects with the presets and limits of a deployment."""

    presets: Mapping[str, Params] = field(default_factory=lambda: _presets.NO_PRESETS)
    only_presets: bool = False
    limits: Limits = field(default_factory=Limits)
    ceiling: Ceiling = UNBOUNDED
    """Limits of an image; a transform that certainly exceeds them is refused at once."""

    def read(self, target: str) -> ImageRequest:
        """Parse a raw request target, still percent-encoded; raise a `RequestError`."""
        path = _path(target)
        dialect = next(each for each in DIALECTS if each.matches(path))
        params = dialect.parse(path)
        if self.only_presets:
            _presets.check_only(params, self.presets)
        requested = transform(params, presets=self.presets, limits=self.limits)
        answer: Answer = "params" if params.params else "meta" if params.meta else "image"
        shown = answer == "params"
        source = None if shown else parse_source(params.image)
        if source is not None:
            require_affordable(requested, source, self.ceiling)
        return ImageRequest(
            answer=answer,
            dialect=dialect,
            params=params,
            transform=requested,
            source=source,
            keys=() if shown else tuple(parse_key(name) for name in requested.keys),
            unsafe=params.unsafe,
        )

    def canonical(self, target: str, request: ImageRequest, signature: str | None) -> str:
        """Return the canonical spelling of a target; other spellings are redirected to it.

        `signature` is the request's as `Signer.sign` writes it; the signed text stays to the last byte. An
        unsigned target loses leading slashes, needless escapes (RFC 3986 §6.2.2.2) and empty pairs of its
        query, if its meaning stays. It begins with exactly one slash: a second, or a backslash, would turn
        the rest into another host. An origin before the path is ignored and stays.
        """
        path = _ORIGIN.sub("", target)
        if signature is not None:
            spelling = f"/{signature}/{request.params.path}"
        else:
            spelling = _spelling(request)
            if spelling != path and not self._means(spelling, request):
                spelling = path
        return target if spelling == path or spelling[1:2] in ("/", "\\") else spelling

    def _means(self, target: str, request: ImageRequest) -> bool:
        """Return whether a target has the meaning of a request."""
        folder = request.params.unsafe and not request.unsafe  # its first segment looks like a signature
        try:
            other = self.read(f"/unsafe{target}" if folder else target)
        except RequestError:
            return False
        return (other.transform, other.source, other.answer, other.signature) == (
            request.transform,
            request.source,
            request.answer,
            request.signature,
        )

    def unescaped(self, target: str) -> str | None:
        """Return the target with the escapes of `( ) : , =` undone, or None if it has none.

        Some clients escape the grammar's own characters (imagor issue 258), so a refused target may be read
        again like this. imagor decodes everything a second time. That would turn `%252e%252e` into dots and
        `%252F` into a slash after they were checked; these five characters can be part of no escape.
        """
        plain = _STRUCTURE.sub(lambda match: chr(int(match[1], 16)), target)
        return None if plain == target else plain


def _spelling(request: ImageRequest) -> str:
    """Return an unsigned target without characters that have no meaning."""
    path, _, query = _NEEDLESS.sub(_unreserved, request.params.path.lstrip("/")).partition("?")
    pairs = "&".join(filter(None, query.split("&")))
    return f"/{'unsafe/' if request.unsafe else ''}{path}{'?' if pairs else ''}{pairs}"


def _unreserved(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else match[0]


def _path(target: str) -> str:
    """Return a target without its origin; raise `BadUrl` for a length or characters of no dialect."""
    check_length(target)
    if _FORBIDDEN.search(target):
        raise BadUrl("the URL holds a control character or '#', which must be percent-encoded")
    return _ORIGIN.sub("", target)
