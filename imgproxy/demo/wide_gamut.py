"""A flower in Display P3, in colours that sRGB does not have.

Each petal is as strong as P3 goes, and its heart as strong as sRGB goes: on a display that shows P3, one
sees where the hearts end; once brought to sRGB they melt into the petals. Without the profile and without
conversion the whole flower is dull.
"""

from __future__ import annotations

from imgproxy.engine import vips
from imgproxy.image.filters.base import Image

_SIDE = 1400
_PETAL = "M0,-150C-170,-300 -165,-560 0,-640C165,-560 170,-300 0,-150Z"
_HEART = "M0,-210C-95,-310 -95,-470 0,-530C95,-470 95,-310 0,-210Z"
_HUES = ("#ff0000", "#ff8000", "#ffff00", "#00ff00", "#00ffaa", "#00ffff", "#ff00ff", "#ff0080")


def image() -> Image:
    """Paint what is beyond sRGB with P3's numbers, and the rest with sRGB's, converted."""
    ground = (
        '<radialGradient id="ground"><stop stop-color="#31302e"/><stop offset="1" stop-color="#121110"/>'
        f'</radialGradient><rect width="{_SIDE}" height="{_SIDE}" fill="url(#ground)"/>'
    )
    petals = _svg(ground, *_flower(_PETAL)).flatten().copy(interpretation="srgb")
    hearts = _svg(*_flower(_HEART), '<circle r="118" fill="#fff8e8" cx="700" cy="700"/>')
    colours = hearts.extract_band(0, n=3).copy(interpretation="srgb")
    converted = colours.icc_transform("p3", input_profile="srgb", intent="relative")
    flower = petals.composite2(converted.bandjoin(hearts[3]), "over").flatten().cast("uchar")
    return flower.icc_transform("p3", input_profile="p3")  # says that these are P3's numbers


def _flower(outline: str) -> list[str]:
    turn = 360 / len(_HUES)
    return [
        f'<path d="{outline}" fill="{hue}" transform="translate(700 700) rotate({turn * index})"/>'
        for index, hue in enumerate(_HUES)
    ]


def _svg(*body: str) -> Image:
    return vips.draw_svg(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_SIDE}" height="{_SIDE}">{"".join(body)}</svg>'
    )
