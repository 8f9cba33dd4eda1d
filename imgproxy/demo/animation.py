"""Animation of a day in sixteen frames, which repeats without a jump."""

from __future__ import annotations

import math

from imgproxy.engine import vips
from imgproxy.image.filters.base import Image

_WIDTH, _HEIGHT = 480, 300
_FRAMES = 16
_DELAY = 110  # ms
_NIGHT, _DAY, _DUSK = (16, 24, 58), (104, 186, 240), (248, 140, 84)
_STARS = ((60, 40), (120, 90), (190, 30), (250, 70), (330, 36), (392, 98), (440, 50), (30, 120), (300, 112))


def image() -> Image:
    """Draw all frames below one another, with their times."""
    frames = vips.join_frames([_frame(index / _FRAMES) for index in range(_FRAMES)]).copy()
    frames.set_type(vips.INT, "page-height", _HEIGHT)
    frames.set_type(vips.INT, "loop", 0)
    frames.set_type(vips.INTS, "delay", [_DELAY] * _FRAMES)
    return frames


def _frame(time: float) -> Image:
    """Draw the frame at a time of the day: 0 noon, 0.5 midnight."""
    light = math.cos(math.tau * time)
    low = max(0.0, 1 - abs(light) * 2.2)
    day = (light + 1) / 2
    top = _mix(_NIGHT, _DAY, day)
    foot = _mix(top, _DUSK, low * 0.85)
    hills = [
        _mix((12, 20, 34), colour, 0.15 + day * 0.85)
        for colour in ((94, 168, 108), (52, 122, 84), (28, 84, 64))
    ]
    return vips.draw_svg(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}">'
        f'<linearGradient id="sky" x2="0" y2="1"><stop stop-color="{_text(top)}"/>'
        f'<stop offset=".8" stop-color="{_text(foot)}"/></linearGradient>'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="url(#sky)"/>'
        f"{_stars(max(0.0, -light))}{_disc(time, '#fff3b0', 30)}{_disc(time + 0.5, '#eef2ff', 22)}"
        f'<path d="M0,220Q120,150 240,205T{_WIDTH},180V{_HEIGHT}H0Z" fill="{_text(hills[0])}"/>'
        f'<path d="M0,250Q90,190 210,240T{_WIDTH},222V{_HEIGHT}H0Z" fill="{_text(hills[1])}"/>'
        f'<path d="M0,272Q160,236 300,270T{_WIDTH},258V{_HEIGHT}H0Z" fill="{_text(hills[2])}"/></svg>'
    ).flatten()


def _mix(one: tuple[int, ...], other: tuple[int, ...], share: float) -> tuple[int, ...]:
    return tuple(round(a + (b - a) * share) for a, b in zip(one, other, strict=True))


def _text(colour: tuple[int, ...]) -> str:
    return f"rgb{colour}"


def _stars(opacity: float) -> str:
    dots = "".join(f'<circle cx="{x}" cy="{y}" r="{1.2 + x % 3 * 0.5}"/>' for x, y in _STARS)
    return f'<g fill="#fff" fill-opacity="{opacity:.3f}">{dots}</g>'


def _disc(time: float, colour: str, radius: int) -> str:
    """Draw sun or moon, highest at 0."""
    x = _WIDTH / 2 + 190 * math.sin(math.tau * time)
    y = 250 - 190 * math.cos(math.tau * time)
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius * 1.7:.1f}" fill="{colour}" fill-opacity=".18"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>'
    )
