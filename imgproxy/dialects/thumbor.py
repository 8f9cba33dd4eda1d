"""Image URLs as thumbor and imagor write them; `generate` is the inverse of `parse`.

    [params/] [unsafe/ | HASH/] [meta/] [preset:NAME/] [trim/] [AxB:CxD/] [fit-in/] [stretch/] [-WxH/]
        [padding/] [halign/] [valign/] [smart/] [filters:.../] image

Every segment may be absent and none may be out of order: text out of order begins the image's name. Where
imagor and thumbor differ this is imagor (imagorpath/parse.go); `preset:` is an addition. Parsing takes
linear time: after each optional segment anything may follow, so no match backtracks over an earlier one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from imgproxy.dialects import source_path
from imgproxy.dialects.dialect import Dialect
from imgproxy.dialects.request import HIGHEST, FilterText, Params
from imgproxy.dialects.signature import MIN_HASH
from imgproxy.dialects.source_path import BREAKS, NO_BREAKS
from imgproxy.errors import BadArgument, BadUrl
from imgproxy.image.source import decode_name

MAX_PATH_BYTES = 8190
"""Limit of a request line in aiohttp and nginx."""

PRESET_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_HASH = re.compile(rf"(?!adaptive-full-fit-in\Z)[A-Za-z0-9_=-]{{{MIN_HASH},}}")
_HEAD = re.compile(rf"/*(params/)?(?:(unsafe/)|(?!adaptive-full-fit-in/)([A-Za-z0-9_=-]{{{MIN_HASH},}})/)?")
_REST = re.compile(
    r"""/*
    (meta/)?
    (?:preset:([A-Za-z0-9_.-]{1,64})/)?
    (trim(?::(top-left|bottom-right))?(?::(\d+))?/)?
    (?:((?:0?\.)?\d+)x((?:0?\.)?\d+):((?:[01]?\.)?\d+)x((?:[01]?\.)?\d+)/)?
    (?:((?:adaptive-)?(?:full-)?fit-in)/)?
    (stretch/)?
    (?:(-?)(\d*)x(-?)(\d*)/)?
    (?:(\d+)x(\d+)(?::(\d+)x(\d+))?/)?
    (?:(left|right|center)/)?
    (?:(top|bottom|middle)/)?
    (smart/)?
    (filters:)?""",
    re.ASCII | re.VERBOSE,
)
_MARK = re.compile(r"[():/]")
_BREAK = re.compile(rf"[{BREAKS}]")
_UNSAFE_IN_NAME = re.compile(rf"[?(),%+#{BREAKS}\ud800-\udfff]")


def parse(path: str) -> Params:
    """Parse a path, still percent-encoded; raise `BadUrl` only for one that is too long or not text.

    Text in no segment is the image's name, so every other path is valid.
    """
    check_length(path)
    path = path.translate(NO_BREAKS)
    head: Any = _HEAD.match(path)  # always matches, for every part is optional; so does the next
    rest = path[head.end() :]
    found: Any = _REST.match(rest)
    (
        meta, preset, trim, trim_by, tolerance, left, top, right, bottom, fit, stretch,
        h_flip, width, v_flip, height, pad_left, pad_top, pad_right, pad_bottom,
        h_align, v_align, smart, filters,
    ) = found.groups()  # fmt: skip
    calls, ignored, image = _scan(rest[found.end() :]) if filters else ((), "", rest[found.end() :])
    name, encoded = decode_name(image)
    return Params(
        params=head[1] is not None,
        unsafe=head[2] is not None,
        hash=head[3] or "",
        path=rest,
        meta=meta is not None,
        preset=preset or "",
        trim=trim is not None,
        trim_by=trim_by or ("top-left" if trim else ""),
        trim_tolerance=_integer(tolerance),
        crop_left=_number(left),
        crop_top=_number(top),
        crop_right=_number(right),
        crop_bottom=_number(bottom),
        fit_in=fit is not None,
        adaptive_fit_in=fit is not None and fit.startswith("adaptive-"),
        full_fit_in=fit is not None and fit.endswith("full-fit-in"),
        stretch=stretch is not None,
        width=_integer(width),
        height=_integer(height),
        h_flip=h_flip == "-",
        v_flip=v_flip == "-",
        padding_left=_integer(pad_left),
        padding_top=_integer(pad_top),
        padding_right=_integer(pad_right or pad_left),
        padding_bottom=_integer(pad_bottom or pad_top),
        h_align=h_align or "",
        v_align=v_align or "",
        smart=smart is not None,
        filters=calls,
        ignored=ignored,
        base64_image=encoded,
        image=name,
    )


def check_length(target: str) -> None:
    """Raise `BadUrl` for a URL of more than `MAX_PATH_BYTES`, or one that cannot be bytes."""
    try:
        size = len(target.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        raise BadUrl("the URL is not text") from None
    if size > MAX_PATH_BYTES:
        raise BadUrl(f"the URL has {size} bytes: at most {MAX_PATH_BYTES} are allowed")


def _integer(digits: str | None) -> int:
    if not digits:
        return 0
    if len(digits) < len(str(HIGHEST)):
        return int(digits)
    significant = digits.lstrip("0") or "0"
    return HIGHEST if len(significant) > len(str(HIGHEST)) else min(int(significant), HIGHEST)


def _number(text: str | None) -> float:
    return min(float(text), float(HIGHEST)) if text else 0.0


def _scan(text: str) -> tuple[tuple[FilterText, ...], str, str]:
    """Parse filters up to a slash outside parentheses: the filters, stray text, and the image.

    Inside parentheses everything is literal, so whole URLs can be arguments; a parenthesis that does not
    close swallows the image. A colon pushes a filter even when it has no name, as in imagor.
    """
    filters: list[FilterText] = []
    stray: list[str] = []
    name = arguments = image = ""
    begin = depth = 0
    for mark in _MARK.finditer(text):
        sign, at = mark[0], mark.start()
        if sign == "(":
            if depth == 0:
                stray.append(name + arguments)  # a second name before the colon takes the first one's place
                name, begin = text[begin:at], at + 1
            depth += 1
        elif sign == ")":
            depth -= 1
            if depth == 0:
                arguments, begin = text[begin:at], at + 1
        elif depth == 0:
            stray.append(text[begin:at])
            begin = at + 1
            if sign == "/":
                image = text[begin:]
                begin = len(text)
                break
            filters.append((name, arguments))
            name = arguments = ""
    stray.append(text[begin:])
    if name:
        filters.append((name, arguments))
    return tuple(filters), "".join(stray), image


def generate(params: Params) -> str:
    """Return a path that `parse` reads as these params, except for `path` and the name's spelling.

    As in imagor the name stays readable, spaces and letters beyond ASCII included, unless it would be
    taken for something else. Raise `BadArgument` or `BadKey` if no path has these params.
    """
    if params.fit_min:
        raise BadArgument("fit: the path form has no word for min; the query form has")
    segments, name = options(params), _name(params)
    prefix = "params/" if params.params else ""
    if params.hash:
        if not _HASH.fullmatch(params.hash):
            raise BadArgument(f"hash: at least {MIN_HASH} base64url characters are expected")
        return f"{prefix}{params.hash}/{segments}{name}"
    if params.unsafe:
        return f"{prefix}unsafe/{segments}{name}"
    if not _takes(_HEAD, segments + name):
        return prefix + segments + name
    if segments:  # a size of absurdly many digits would pass for a signature; a crop of nothing does not
        return f"{prefix}0x0:0x0/{segments}{name}"
    return prefix + source_path.escaped(params.image)


def options(params: Params) -> str:
    """Return the segments before the name, each with its slash; raise as `generate` does."""
    return "".join(_segments(params))


def _segments(params: Params) -> Iterator[str]:
    if params.meta:
        yield "meta/"
    if params.preset:
        if not PRESET_NAME.fullmatch(params.preset):
            raise BadArgument(f"preset: no preset can have the name '{params.preset}'")
        yield f"preset:{params.preset}/"
    if params.trim:
        by = ":bottom-right" if params.trim_by == "bottom-right" else ""
        yield f"trim{by}:{params.trim_tolerance}/" if params.trim_tolerance else f"trim{by}/"
    crop = params.crop_left, params.crop_top, params.crop_right, params.crop_bottom
    if any(crop):
        yield "{}x{}:{}x{}/".format(*map(plain_number, crop))
    if params.fit_in:
        adaptive = "adaptive-" if params.adaptive_fit_in else ""
        yield f"{adaptive}{'full-' if params.full_fit_in else ''}fit-in/"
    if params.stretch:
        yield "stretch/"
    yield from _sizes(params)
    yield from (f"{word}/" for word in (params.h_align, params.v_align) if word)
    if params.smart:
        yield "smart/"
    if params.filters:
        last = ":" if not params.filters[-1][0] else ""  # without a colon a nameless filter is dropped
        yield f"filters:{':'.join(_filter(*each) for each in params.filters)}{last}/"


def _sizes(params: Params) -> Iterator[str]:
    left, top = params.padding_left, params.padding_top
    right, bottom = params.padding_right, params.padding_bottom
    padded = any((left, top, right, bottom))
    if padded or params.width or params.height or params.h_flip or params.v_flip:
        flips = "-" if params.h_flip else "", "-" if params.v_flip else ""
        yield f"{flips[0]}{params.width}x{flips[1]}{params.height}/"
    if padded:
        same = (left, top) == (right, bottom)
        yield f"{left}x{top}/" if same else f"{left}x{top}:{right}x{bottom}/"


def plain_number(value: float) -> str:
    """Return a number without an exponent, which the grammar lacks."""
    return str(int(value)) if value == int(value) else format(Decimal(repr(value)), "f")


def _filter(name: str, arguments: str) -> str:
    if _MARK.search(name) or _BREAK.search(name):
        raise BadArgument(f"filters: no filter can have the name '{name}'")
    if not name and not arguments:
        return ""
    text = f"{name}({arguments})"
    if _scan(f"{text}:/") != (((name, arguments),), "", ""):
        text = f"{name}({arguments.replace('(', '%28').replace(')', '%29')})"  # they do not match
    return _BREAK.sub(lambda found: quote(found[0]), text)


def _name(params: Params) -> str:
    """Return the image's name, escaped if it would not parse back."""
    image = params.image
    if params.base64_image or source_path.reads_as_base64(image):
        return source_path.base64_name(image)
    if _UNSAFE_IN_NAME.search(image) or _takes(_REST, image):
        return source_path.escaped(image)
    return image


def _takes(segments: re.Pattern[str], text: str) -> bool:
    """Return whether the text would begin with a segment, or lose its slashes, rather than be a name."""
    found = segments.match(text)
    return found is not None and found.end() > 0


def _parse_target(target: str) -> Params:
    path, mark, _ = target.partition("?")
    params = parse(path)
    return replace(params, path=params.path + mark) if mark else params


THUMBOR = Dialect("thumbor", matches=lambda _target: True, parse=_parse_target, generate=generate)
