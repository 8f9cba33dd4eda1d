"""A mountain lake in the evening, 6 megapixels: shapes by SVG; clouds, waves and grain by noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from imgproxy.demo.noise import fractal, grain, receding
from imgproxy.engine import vips
from imgproxy.image.colour import Colour
from imgproxy.image.filters.base import Image

_WIDTH, _HEIGHT = 3000, 2000
_SHORE = 1240  # where the water begins, from the top
_WATER = _HEIGHT - _SHORE
_SUN = (2060, 640)

_SKY = ((0, "#27436f"), (0.3, "#6581ac"), (0.52, "#d8b3a5"), (0.68, "#f7c58b"), (1, "#ffe2ad"))
_DEPTHS = ((0, "#27384f", 0.25), (0.35, "#1d2f47", 0.4), (1, "#0c1626", 0.82))
_EVENING, _SPARK = Colour(255, 226, 204), Colour(255, 224, 170)
_CLOUDS, _MIST, _WAVES, _GRAIN = 40, 60, 90, 11


@dataclass(frozen=True, slots=True)
class _Ridge:
    """A chain of hills, from its crest down into the haze at its foot."""

    crest: int
    height: int
    rough: float
    colour: str
    foot: str
    firs: int = 0
    fir: int = 0


_RIDGES = (
    _Ridge(730, 460, 0.56, "#9a8cae", "#f0cda8"),
    _Ridge(930, 260, 0.52, "#776f95", "#e0b9a2"),
    _Ridge(1060, 190, 0.48, "#4f5577", "#b39aa0"),
    _Ridge(1150, 120, 0.44, "#34425a", "#5d6276", firs=1100, fir=62),
    _Ridge(1215, 60, 0.40, "#17242f", "#1b2934", firs=620, fir=120),
)


def image() -> Image:
    """Paint it from the back to the front."""
    above = _over(_sky(), _clouds(), *_hills()).copy_memory()  # looked at twice, and in any order
    scene = above.join(_lake(above), "vertical")
    return grain(_over(scene, _bank()), strength=4, seed=_GRAIN)


def _over(image: Image, *layers: Image) -> Image:
    return image.composite(list(layers), "over").flatten()


def _svg(height: int, *body: str) -> Image:
    return vips.draw_svg(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}">{"".join(body)}</svg>'
    )


def _fade(name: str, *stops: tuple[float, str] | tuple[float, str, float]) -> str:
    inner = "".join(
        f'<stop offset="{offset}" stop-color="{colour}" stop-opacity="{opacity[0] if opacity else 1}"/>'
        for offset, colour, *opacity in stops
    )
    return f'<linearGradient id="{name}" x2="0" y2="1">{inner}</linearGradient>'


def _sky() -> Image:
    x, y = _SUN
    return _svg(
        _SHORE,
        _fade("sky", *_SKY),
        f'<rect width="{_WIDTH}" height="{_SHORE}" fill="url(#sky)"/>',
        '<radialGradient id="glow"><stop stop-color="#fff6d8"/><stop offset=".1" stop-color="#ffeebc" '
        'stop-opacity=".75"/><stop offset=".4" stop-color="#ffd08a" stop-opacity=".3"/>'
        '<stop offset="1" stop-color="#ffb066" stop-opacity="0"/></radialGradient>',
        f'<ellipse cx="{x}" cy="{y}" rx="1300" ry="860" fill="url(#glow)"/>',
        f'<circle cx="{x}" cy="{y}" r="58" fill="#fffbea"/>',
    )


def _clouds() -> Image:
    """Draw a thin cover of clouds towards the horizon."""
    cover = fractal(1024, 1024, cell=256, octaves=6, seed=_CLOUDS)
    seen = receding(cover, _WIDTH // 2, 400, horizon=0.35, across=1.2, deep=1.6).flipver().resize(2)
    alpha = ((seen - 0.08) * 380).cast("uchar").embed(0, 0, _WIDTH, _SHORE)
    return vips.plain(_EVENING, _WIDTH, _SHORE).bandjoin(alpha)


def _hills() -> Iterator[Image]:
    chance = Random(7)  # noqa: S311  paints hills, keeps no secret
    mist = fractal(_WIDTH // 2, _SHORE // 2, cell=64, octaves=4, seed=_MIST).resize(2).copy_memory()
    for ridge in _RIDGES:
        crest = _crest(ridge, chance)
        outline = " ".join(f"{x},{y:.0f}" for x, y in crest)
        drawn = _svg(
            _SHORE,
            _fade("hill", (0, ridge.colour), (1, ridge.foot)),
            f'<polygon fill="url(#hill)" points="0,{_SHORE} {outline} {_WIDTH},{_SHORE}"/>',
            f'<g fill="{ridge.colour}">{_firs(ridge, crest, chance)}</g>',
        )
        yield drawn if ridge.firs else _misty(drawn, mist)


def _misty(hills: Image, mist: Image) -> Image:
    lit = hills.extract_band(0, n=3) * (mist * 0.3 + 1)
    return lit.cast("uchar").bandjoin(hills[3])


def _crest(ridge: _Ridge, chance: Random) -> list[tuple[int, float]]:
    """Divide a line again and again, moving each middle by chance: less, the shorter the line."""
    heights, reach = [chance.uniform(-0.5, 0.5) for _ in range(4)], 0.5
    while len(heights) < 300:
        middles = [(left + right) / 2 + chance.uniform(-reach, reach) for left, right in pairwise(heights)]
        heights = [each for pair in zip(heights, middles, strict=False) for each in pair] + heights[-1:]
        reach *= ridge.rough
    step = _WIDTH / (len(heights) - 1)
    return [
        (round(index * step), ridge.crest - height * ridge.height / 2) for index, height in enumerate(heights)
    ]


def _firs(ridge: _Ridge, crest: list[tuple[int, float]], chance: Random) -> str:
    return "".join(
        _fir(x + chance.uniform(-6, 6), y + ridge.fir / 4, ridge.fir * chance.uniform(0.5, 1.2), chance)
        for x, y in chance.choices(crest, k=ridge.firs)
    )


def _fir(x: float, foot: float, height: float, chance: Random) -> str:
    """Branches that hang from a straight stem, wider and wider."""
    count = 4 + int(height / 22)
    outline: list[str] = []
    for branch in (*range(count, 0, -1), *range(1, count + 1)):  # up on the left, down on the right
        side = -1 if len(outline) < count else 1
        y, reach = foot - height * (1 - branch / count), side * height * 0.24 * branch / count
        tip = f"{x + reach * chance.uniform(0.7, 1.1):.1f},{y:.1f}"
        root = f"{x + reach * chance.uniform(0.3, 0.55):.1f},{y - height * 0.03:.1f}"
        outline.append(f"{tip} {root}" if side < 0 else f"{root} {tip}")
    outline.insert(count, f"{x:.1f},{foot - height:.1f}")
    return f'<polygon points="{" ".join(outline)}"/>'


def _lake(above: Image) -> Image:
    """Mirror the view above, moved by waves that grow with nearness, and add the sun on them."""
    mirrored = above.crop(0, _SHORE - _WATER, _WIDTH, _WATER).flipver()
    tile = fractal(1024, 1024, cell=32, octaves=4, seed=_WAVES)
    waves = receding(tile, _WIDTH // 2, _WATER // 2, horizon=0.08, across=0.3, deep=1.6)
    waves = waves.resize(2).copy_memory()
    xy = type(above).xyz(_WIDTH, _WATER)
    swell = waves * (xy[1] * 0.1 + 5)
    x = (xy[0] + swell * 0.3).clamp(min=0, max=_WIDTH - 1)
    y = (xy[1] + swell * 2).clamp(min=0, max=_WATER - 1)
    seen = mirrored.mapim(x.bandjoin(y))
    depths = _svg(_WATER, _fade("depths", *_DEPTHS), '<rect width="100%" height="100%" fill="url(#depths)"/>')
    return _over(seen, depths, _glitter(waves))


def _glitter(waves: Image) -> Image:
    """Draw the sun on waves that lean towards the viewer."""
    beam = _svg(
        _WATER,
        '<radialGradient id="beam"><stop stop-color="#fff"/><stop offset="1" stop-opacity="0" '
        'stop-color="#fff"/></radialGradient>',
        f'<ellipse cx="{_SUN[0]}" cy="150" rx="330" ry="620" fill="url(#beam)"/>',
    )
    alpha = ((waves - 0.12) * 900).cast("uchar") * beam[3] / 255
    return vips.plain(_SPARK, _WIDTH, _WATER).bandjoin(alpha.cast("uchar"))


def _bank() -> Image:
    """Draw the dark shore in front: grass, and two firs that frame the view."""
    chance = Random(23)  # noqa: S311  paints grass, keeps no secret
    return _svg(
        _HEIGHT,
        f'<g fill="#0a1118"><path d="M0,1890Q700,1850 1300,1970T{_WIDTH},1965V{_HEIGHT}H0Z"/>',
        _fir(170, _HEIGHT, 1480, chance),
        _fir(520, _HEIGHT, 900, chance),
        *(_blade(chance) for _ in range(1400)),
        "</g>",
    )


def _blade(chance: Random) -> str:
    x, lean = chance.uniform(0, _WIDTH), chance.uniform(-50, 50)
    long = chance.uniform(60, 190) + 110 - 80 * min(x / 1300, 1)
    up = f"q{lean / 4:.0f},{-long * 0.6:.0f} {lean:.0f},{-long:.0f}"
    down = f"q{3 - lean / 2:.0f},{long * 0.4:.0f} {7 - lean:.0f},{long:.0f}"
    return f'<path d="M{x:.0f},{_HEIGHT}{up}{down}"/>'
