"""Noise for the drawings, by fixed seeds, so that images have the same bytes each time."""

from __future__ import annotations

from imgproxy.engine import vips
from imgproxy.image.colour import BLACK
from imgproxy.image.filters.base import Image

_maker = type(vips.plain(BLACK, 1, 1))  # noise is made by the class of images, not from one


def fractal(width: int, height: int, *, cell: int, octaves: int, seed: int) -> Image:
    """Return noise around 0 with ever finer detail; tiles without a seam where `cell` divides both sides."""
    layers = (
        _maker.perlin(width, height, cell_size=cell >> step, seed=seed + step) * 0.5**step
        for step in range(octaves)
    )
    return sum(layers, start=_maker.black(width, height)).copy_memory()  # it is looked at in any order


def receding(tile: Image, width: int, height: int, *, horizon: float, across: float, deep: float) -> Image:
    """Pave a plane that goes away from us, from the lower edge to the upper one, with a tile.

    `horizon` is how far above the upper edge the plane would end, in heights; `across` tiles lie side by
    side at the lower edge, `deep` ones behind one another.
    """
    xy = _maker.xyz(width, height)
    nearness = (xy[1] / height + horizon) / (1 + horizon)
    x = (xy[0] / width - 0.5) / nearness * across + 1000  # a remainder is no place for negative numbers
    y = horizon / nearness * deep
    place = (x.remainder(1) * (tile.width - 1)).bandjoin(y.remainder(1) * (tile.height - 1))
    return tile.mapim(place, extend="copy")


def grain(image: Image, *, strength: float, seed: int) -> Image:
    """Film grain; also hides the steps in a smooth sky."""
    noise = _maker.gaussnoise(image.width, image.height, mean=0, sigma=strength, seed=seed)
    return (image + noise).cast("uchar").copy(interpretation="srgb")
