"""A mascot with a soft shadow, on nothing: a lens that looks at you, within the blades of its aperture."""

from __future__ import annotations

import math

from imgproxy.engine import vips
from imgproxy.image.filters.base import Image

_SIDE = 900
_CENTRE = _SIDE / 2, 430
_OUTER, _INNER = 360, 205
_BLADES = (
    ("#ff5f6d", "#d7264f"), ("#ff9a3c", "#ef6a1a"), ("#ffd23f", "#f0a500"),
    ("#5ad17f", "#1f9e5a"), ("#38b6ff", "#1673d1"), ("#a06bff", "#6a35cf"),
)  # fmt: skip

_FACE = """
<radialGradient id="glass" cx=".4" cy=".3" r=".8">
 <stop stop-color="#3d5578"/><stop offset=".6" stop-color="#16233b"/><stop offset="1" stop-color="#0b1322"/>
</radialGradient>
<circle cx="450" cy="430" r="209" fill="#f7f9fc"/><circle cx="450" cy="430" r="176" fill="url(#glass)"/>
<g fill="#fff"><ellipse cx="390" cy="405" rx="42" ry="50"/><ellipse cx="510" cy="405" rx="42" ry="50"/></g>
<g fill="#101a2b"><circle cx="398" cy="412" r="24"/><circle cx="502" cy="412" r="24"/></g>
<g fill="#fff"><circle cx="407" cy="401" r="9"/><circle cx="511" cy="401" r="9"/></g>
<path d="M395,492Q450,546 505,492" fill="none" stroke="#fff" stroke-width="15" stroke-linecap="round"/>
<g fill="#ff8fa3" fill-opacity=".75"><ellipse cx="343" cy="472" rx="24" ry="14"/>
<ellipse cx="557" cy="472" rx="24" ry="14"/></g>
<path d="M322,372A140,140 0 0 1 400,299" fill="none" stroke="#fff" stroke-width="14" stroke-linecap="round"
 stroke-opacity=".55"/>
"""


def image() -> Image:
    """Lay the mascot over its own blurred shape."""
    mascot = _svg("".join(_blade(index) for index in range(len(_BLADES))) + _FACE)
    shade = mascot[3].embed(0, 34, _SIDE, _SIDE).gaussblur(24) * 0.45
    shadow = _svg(f'<rect width="{_SIDE}" height="{_SIDE}" fill="#122"/>').extract_band(0, n=3)
    return shadow.bandjoin(shade.cast("uchar")).composite2(mascot, "over").cast("uchar")


def _svg(body: str) -> Image:
    return vips.draw_svg(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_SIDE}" height="{_SIDE}">{body}</svg>'
    )


def _blade(index: int) -> str:
    """Draw a blade from two corners of the opening, along its sides, out to the rim."""
    light, dark = _BLADES[index]
    here, next_ = _corner(index), _corner(index + 1)
    start, end = _rim(_corner(index - 1), here), _rim(here, next_)
    points = "M{:.1f},{:.1f}L{:.1f},{:.1f}L{:.1f},{:.1f}A{r},{r} 0 0 0 {:.1f},{:.1f}Z"
    return (
        f'<linearGradient id="b{index}" gradientTransform="rotate({index * 60} .5 .5)">'
        f'<stop stop-color="{light}"/><stop offset="1" stop-color="{dark}"/></linearGradient>'
        f'<path fill="url(#b{index})" stroke="#fff" stroke-width="9" stroke-linejoin="round" '
        f'd="{points.format(*here, *next_, *end, *start, r=_OUTER)}"/>'
    )


def _corner(index: int) -> tuple[float, float]:
    angle = math.tau * index / len(_BLADES)
    return _CENTRE[0] + _INNER * math.cos(angle), _CENTRE[1] + _INNER * math.sin(angle)


def _rim(inside: tuple[float, float], through: tuple[float, float]) -> tuple[float, float]:
    """Return the point where the line through two corners leaves the outer circle."""
    side = _INNER  # of a hexagon
    on = math.sqrt(_OUTER**2 - (_INNER**2 - (side / 2) ** 2)) + side / 2
    share = on / side
    return tuple(a + (b - a) * share for a, b in zip(inside, through, strict=True))  # type: ignore[return-value]
