"""URL grammars: each parses and generates, and the two are inverse. Pure.

`Grammar.read` is the one way in: a raw request target becomes an `ImageRequest`, or an `AskerError` that says
what is wrong with it. Past it there are no strings to check: sizes, filters and keys have all been judged.
Whether the signature is right is not asked here; the request says what it must cover.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from imgproxy.dialects import presets as _presets
from imgproxy.dialects import query as _query
from imgproxy.dialects import thumbor
from imgproxy.dialects.request import Params, transform
from imgproxy.dialects.source_path import BREAKS
from imgproxy.errors import AskerError, BadUrl
from imgproxy.image.cost import require_affordable
from imgproxy.image.plan import UNBOUNDED, Ceiling
from imgproxy.image.source import Key, Source, parse_key, parse_source
from imgproxy.image.transform import Limits, Transform

_ORIGIN = re.compile(r"\Ahttps?://[^/?#]*", re.IGNORECASE)
_FORBIDDEN = re.compile(rf"[\x00-\x1f\x7f#{BREAKS}]")
_STRUCTURE = re.compile(r"%(28|29|3[AaDd]|2[Cc])")
_NEEDLESS = re.compile(r"%([2-7][0-9A-Fa-f])")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")

Answer = Literal["image", "meta", "params"]


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """What one URL asks for."""

    answer: Answer
    params: Params
    """What it says, word for word."""
    transform: Transform
    """What that means."""
    source: Source | None
    """The source image; None for the answer `params` alone, which shows any name and opens none."""
    keys: tuple[Key, ...] = ()
    """Further objects the picture needs, in order of first use."""
    signature: str | None = None
    signed: str = ""
    """The text that the signature must cover."""
    unsafe: bool = False
    """Whether the URL says `unsafe/`."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """How this deployment reads URLs."""

    presets: Mapping[str, Params] = field(default_factory=lambda: _presets.NO_PRESETS)
    only_presets: bool = False
    limits: Limits = field(default_factory=Limits)
    ceiling: Ceiling = UNBOUNDED
    """Limits of what is made; a transform that certainly exceeds them is refused at once."""

    def read(self, target: str) -> ImageRequest:
        """Read a raw request target, path and query still percent-encoded; raise an `AskerError`."""
        params = _words(target)
        if self.only_presets:
            _presets.check_only(params, self.presets)
        wish = transform(params, presets=self.presets, limits=self.limits)
        answer: Answer = "params" if params.params else "meta" if params.meta else "image"
        shown = answer == "params"
        source = None if shown else parse_source(params.image)
        if source is not None:
            require_affordable(wish, source, self.ceiling)
        return ImageRequest(
            answer=answer,
            params=params,
            transform=wish,
            source=source,
            keys=() if shown else tuple(parse_key(name) for name in wish.keys),
            signature=params.hash or None,
            signed=params.path,
            unsafe=params.unsafe,
        )

    def canonical(self, target: str, request: ImageRequest, signature: str | None) -> str:
        """Return the one spelling of a target that is answered; the others are redirected to it.

        `signature` is the request's as `Signer.sign` writes it. What it covers stays to the last byte. An
        unsigned target loses slashes at its beginning, needless escapes (RFC 3986 §6.2.2.2) and empty
        pairs of its query, if it means the same without. It begins with exactly one slash: a second, or a
        backslash, would make another host of the rest. An origin before the path says nothing and is left.
        """
        path = _ORIGIN.sub("", target)
        if signature is not None:
            spelling = f"/{signature}/{request.signed}"
        else:
            spelling = _spelling(request)
            if spelling != path and not self._means(spelling, request):
                spelling = path
        return target if spelling == path or spelling[1:2] in ("/", "\\") else spelling

    def _means(self, target: str, request: ImageRequest) -> bool:
        """Whether a target says the same as a request."""
        folder = request.params.unsafe and not request.unsafe  # its first segment looks like a signature
        try:
            other = self.read(f"/unsafe{target}" if folder else target)
        except AskerError:
            return False
        return (other.transform, other.source, other.answer, other.signature) == (
            request.transform,
            request.source,
            request.answer,
            request.signature,
        )

    def unescaped(self, target: str) -> str | None:
        """The target with the escapes of `( ) : , =` undone, or None if it has none.

        Some clients escape the grammar's own characters (imagor issue 258), so a target that was refused
        may be read once more like this. imagor decodes everything a second time; that would turn `%252e%252e`
        into dots and `%252F` into a slash after they were judged, so these five it is, and they can be
        part of no escape.
        """
        plain = _STRUCTURE.sub(lambda found: chr(int(found[1], 16)), target)
        return None if plain == target else plain


def _spelling(request: ImageRequest) -> str:
    """Write an unsigned target without what says nothing."""
    path, _, query = _NEEDLESS.sub(_unreserved, request.signed.lstrip("/")).partition("?")
    pairs = "&".join(filter(None, query.split("&")))
    return f"/{'unsafe/' if request.unsafe else ''}{path}{'?' if pairs else ''}{pairs}"


def _unreserved(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    return character if character in _UNRESERVED else found[0]


def _words(target: str) -> Params:
    """Choose the form: the path's or, on a name without options, the query's."""
    thumbor.check_length(target)
    if _FORBIDDEN.search(target):
        raise BadUrl("the URL holds a control character or '#', which must be percent-encoded")
    path, mark, query = _ORIGIN.sub("", target).partition("?")
    params = thumbor.parse(path)
    if not query:
        return replace(params, path=params.path + mark) if mark else params
    if params != params.named:
        raise BadUrl("the URL has options in its path and in its query: use one of the two")
    return replace(params, **_query.words(query), path=f"{params.path}?{query}")
