"""Originals to measure with: drawn by formula, so that every machine measures the same picture."""

from __future__ import annotations

from pathlib import Path

import pyvips

_MEGAPIXELS = 6_000_000


def photo(path: Path, pixels: int = _MEGAPIXELS) -> Path:
    """A JPEG of about `pixels`, as hard to code as a photo: soft shapes, edges and grain."""
    if path.exists():
        return path
    height = int((pixels / 1.5) ** 0.5)
    width = pixels // height
    layers = [
        pyvips.Image.perlin(width, height, cell_size=size, seed=size) * weight
        for size, weight in ((512, 90), (128, 50), (32, 25), (8, 10))
    ]
    shape = sum(layers[1:], layers[0]) + 128
    edges = pyvips.Image.worley(width, height, cell_size=300, seed=7) * 0.4
    grain = pyvips.Image.gaussnoise(width, height, sigma=6, mean=0, seed=1)
    bands = [shape + grain, shape * 0.8 + edges + grain, edges + 40 + grain]
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = bands[0].bandjoin(bands[1:]).cast("uchar").copy(interpretation="srgb")
    picture.jpegsave(str(path), Q=88, keep="none")
    return path
