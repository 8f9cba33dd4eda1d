"""The demo's page at `/`: what URLs can say, each with the picture that it gives and the bytes it takes.

The page asks nothing of any other site; the browser is told so, and runs only the script that stands in it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import PurePosixPath
from string import Formatter, Template
from typing import Literal
from urllib.parse import quote

from aiohttp import web

_INLINE = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)
_WIDTHS = (480, 960, 1600, 2400)


@dataclass(frozen=True, slots=True)
class _Example:
    """A URL worth looking at; keys stand in its path by their stems."""

    caption: str
    path: str
    note: str
    kind: Literal["picture", "json"] = "picture"


_EXAMPLES = (
    _Example("fit-in", "fit-in/480x320/{landscape}", "The whole picture, as large as fits into 480×320."),
    _Example("cover", "220x440/{portrait}", "220×440 cut from the middle: whoever stands aside is lost."),
    _Example("smart", "220x440/smart/{portrait}", "The same box, laid where the eye goes."),
    _Example("focal", "220x440/filters:focal(0.15,0.4)/{portrait}", "The same box around a point you name."),
    _Example(
        "negotiated",
        "480x240/{landscape}",
        "No type is named: AVIF, WebP or JPEG, by what the browser accepts.",
    ),
    _Example("format", "480x240/filters:format(webp)/{landscape}", "WebP, whatever the browser accepts."),
    _Example(
        "quality",
        "480x240/filters:format(jpeg):quality(15)/{landscape}",
        "JPEG of quality 15: small, and it shows.",
    ),
    _Example(
        "watermark",
        "480x320/filters:watermark({logo},-12,-12,15,28)/{landscape}",
        "Another picture laid into the corner, at 28 % of the width and 85 % opaque.",
    ),
    _Example(
        "round_corner",
        "320x320/smart/filters:round_corner(48)/{portrait}",
        "See-through corners need no CSS.",
    ),
    _Example("blur", "480x320/filters:blur(8)/{landscape}", "A placeholder while the real one loads."),
    _Example("transparent logo", "fit-in/320x320/{logo}", "The soft shadow survives resizing and AVIF."),
    _Example("rotated", "fit-in/320x420/{rotated}", "Stored lying, shown upright: the EXIF tag is applied."),
    _Example(
        "wide gamut",
        "fit-in/360x360/{wide-gamut}",
        "Display P3 brought to sRGB by its profile: right colours anywhere.",
    ),
    _Example(
        "animation", "320x200/filters:format(webp)/{loop}", "An animated GIF as animated WebP, much smaller."
    ),
    _Example(
        "query form", "{landscape}?w=480&h=320&fit=cover&q=60&format=webp", "The same words as parameters."
    ),
    _Example("preset", "preset:card/{portrait}", "A transform that the deployment has given a name."),
    _Example("meta", "meta/{rotated}", "What the picture is, as JSON.", "json"),
    _Example("params", "params/fit-in/300x200/filters:quality(80)/{landscape}", "What a URL means.", "json"),
)


def urls(base: str, keys: Sequence[str]) -> list[tuple[str, str]]:
    """Captions and URLs below `base` that show what can be asked of the pictures at these keys."""
    return [(example.caption, url) for example, url in _examples(base, keys)]


def page(base: str, keys: Sequence[str]) -> str:
    """The page, with links below `base`; empty for the page's own server."""
    text = resources.files(__package__).joinpath("page.html").read_text("utf-8")
    return Template(text).substitute(
        hero=_hero(base, keys),
        cards="\n".join(_card(example, url) for example, url in _examples(base, keys)),
        keys="\n".join(f"<li>{_link(f'{base}/{quote(key)}', key)}</li>" for key in keys),
        first=escape(next((url for _, url in urls("", keys)), "/")),
    )


def pages(keys: Sequence[str]) -> Sequence[web.RouteDef]:
    """The route of the page about the pictures at these keys, if there are any."""
    return routes(page("", keys)) if keys else ()


def routes(page_text: str) -> list[web.RouteDef]:
    """The page's one route."""
    headers = {
        "Cache-Control": "no-cache",
        "Content-Security-Policy": content_security_policy(page_text),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }

    async def show(_request: web.Request) -> web.Response:
        return web.Response(text=page_text, content_type="text/html", charset="utf-8", headers=headers)

    return [web.get("/", show)]


def content_security_policy(page_text: str) -> str:
    """Let exactly that script and style in which stand in the page, and pictures from here."""
    hashes: dict[str, list[str]] = {"script": [], "style": []}
    for kind, text in _INLINE.findall(page_text):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        hashes[kind].append(f"'sha256-{digest}'")
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(hashes['script'])}",
            f"style-src {' '.join(hashes['style'])}",
            "img-src 'self'",
            "connect-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


def _examples(base: str, keys: Sequence[str]) -> list[tuple[_Example, str]]:
    """The examples whose pictures are there, and their URLs."""
    stems = {PurePosixPath(key).stem: quote(key) for key in keys}
    return [
        (example, f"{base}/{example.path.format_map(stems)}")
        for example in _EXAMPLES
        if all(name is None or name in stems for _, name, _, _ in Formatter().parse(example.path))
    ]


def _hero(base: str, keys: Sequence[str]) -> str:
    """The landscape, in the width that the browser chooses."""
    key = next((quote(key) for key in keys if PurePosixPath(key).stem == "landscape"), None)
    if key is None:
        return ""
    sources = ", ".join(f"{base}/{width}x{width // 5 * 2}/{key} {width}w" for width in _WIDTHS)
    return (
        f'<figure class="hero"><img src="{base}/{_WIDTHS[1]}x{_WIDTHS[1] // 5 * 2}/{key}" srcset="{sources}" '
        'sizes="(min-width: 75rem) 72rem, 100vw" width="2400" height="960" '
        'alt="A mountain lake in the evening"><figcaption><output></output></figcaption></figure>'
    )


def _card(example: _Example, url: str) -> str:
    href = escape(url)
    shown = f'<img src="{href}" alt="{escape(example.note)}" loading="lazy">'
    if example.kind == "json":
        shown = f'<pre tabindex="0" data-json="{href}">Open the URL to read it.</pre>'
    return (
        f'<article class="card"><h3>{escape(example.caption)}</h3><p>{escape(example.note)}</p>'
        f'<figure><div class="stage">{shown}</div><figcaption><output></output></figcaption></figure>'
        f"<code>{_link(url, url)}</code></article>"
    )


def _link(url: str, text: str) -> str:
    return f'<a href="{escape(url)}">{escape(text)}</a>'
