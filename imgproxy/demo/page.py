"""Demo page at `/`: example URLs, each with its image, type and bytes.

The page loads nothing from other sites; its Content-Security-Policy allows its own script and style by hash.
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
    """Example URL; its path names keys by their stems."""

    caption: str
    path: str
    note: str
    kind: Literal["image", "json"] = "image"


_EXAMPLES = (
    _Example("fit-in", "fit-in/480x320/{landscape}", "The whole image, as large as fits into 480×320."),
    _Example("cover", "220x440/{portrait}", "220×440, cropped around the middle."),
    _Example("smart", "220x440/smart/{portrait}", "The same box, around what draws attention."),
    _Example(
        "focal", "220x440/filters:focal(0.15,0.4)/{portrait}", "The same box, around a point of your choice."
    ),
    _Example(
        "negotiated",
        "480x240/{landscape}",
        "Without a type in the URL: AVIF, WebP or JPEG, by the browser's Accept header.",
    ),
    _Example("format", "480x240/filters:format(webp)/{landscape}", "WebP, for every browser."),
    _Example(
        "quality",
        "480x240/filters:format(jpeg):quality(15)/{landscape}",
        "JPEG of quality 15: few bytes, visible artefacts.",
    ),
    _Example(
        "watermark",
        "480x320/filters:watermark({logo},-12,-12,15,28)/{landscape}",
        "Another image in the corner, at 28 % of the width and 85 % opaque.",
    ),
    _Example(
        "round_corner",
        "320x320/smart/filters:round_corner(48)/{portrait}",
        "Transparent corners without CSS.",
    ),
    _Example("blur", "480x320/filters:blur(8)/{landscape}", "A placeholder for the time of loading."),
    _Example("transparent logo", "fit-in/320x320/{logo}", "The soft shadow stays, in AVIF too."),
    _Example(
        "rotated", "fit-in/320x420/{rotated}", "Stored on its side, shown upright by its EXIF orientation."
    ),
    _Example(
        "wide gamut",
        "fit-in/360x360/{wide-gamut}",
        "Display P3, converted to sRGB by its profile.",
    ),
    _Example(
        "animation", "320x200/filters:format(webp)/{loop}", "An animated GIF as animated WebP, much smaller."
    ),
    _Example(
        "query form",
        "{landscape}?w=480&h=320&fit=cover&q=60&format=webp",
        "The same transform as query parameters.",
    ),
    _Example("preset", "preset:card/{portrait}", "A named transform of the deployment."),
    _Example("meta", "meta/{rotated}", "Type and size of the result, as JSON.", "json"),
    _Example(
        "params",
        "params/fit-in/300x200/filters:quality(80)/{landscape}",
        "Parsed parameters of a URL.",
        "json",
    ),
)


def urls(base: str, keys: Sequence[str]) -> list[tuple[str, str]]:
    """Return caption and URL of each example for the images at these keys."""
    return [(example.caption, url) for example, url in _examples(base, keys)]


def page(base: str, keys: Sequence[str]) -> str:
    """Return the page, with links below `base`; empty for the page's own server."""
    text = resources.files(__package__).joinpath("page.html").read_text("utf-8")
    return Template(text).substitute(
        hero=_hero(base, keys),
        cards="\n".join(_card(example, url) for example, url in _examples(base, keys)),
        keys="\n".join(f"<li>{_link(f'{base}/{quote(key)}', key)}</li>" for key in keys),
        first=escape(next((url for _, url in urls("", keys)), "/")),
    )


def pages(keys: Sequence[str]) -> Sequence[web.RouteDef]:
    """Return the route of the page about the images at these keys, if there are any."""
    return routes(page("", keys)) if keys else ()


def routes(page_text: str) -> list[web.RouteDef]:
    """Return the route of a page."""
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
    """Return the policy that allows the script and style of the page, and images of this server."""
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
    """Return the examples whose images are among the keys, and their URLs."""
    stems = {PurePosixPath(key).stem: quote(key) for key in keys}
    return [
        (example, f"{base}/{example.path.format_map(stems)}")
        for example in _EXAMPLES
        if all(name is None or name in stems for _, name, _, _ in Formatter().parse(example.path))
    ]


def _hero(base: str, keys: Sequence[str]) -> str:
    """Return the landscape, in the width that the browser chooses."""
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
