"""Originals to measure with: drawn by formula, so that every machine measures the same pictures.

They are drawn once into `.bench/originals`, and again when this file or libvips has changed.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyvips

from bench.figure import say

KEPT = Path(__file__).parent.parent / ".bench"
"""What is worth keeping between runs, and on one disk with what is not, to link; git does not look in."""

NAMES = 64
"""Under how many names one original is served, so that what is known of one is of no use for the next."""

_SMALL, _MEDIUM, _LARGE = 300_000, 6_000_000, 24_000_000
_FRAMES = 12


@dataclass(frozen=True, slots=True)
class Drawing:
    """A source image; libvips takes its type from the name's ending."""

    name: str
    pixels: int
    options: Mapping[str, Any] = field(default_factory=dict)
    alpha: bool = False
    frames: int = 1


_JPEG: Mapping[str, Any] = {"Q": 88}
_PNG: Mapping[str, Any] = {"compression": 6}
_WEBP: Mapping[str, Any] = {"Q": 85, "effort": 4}
_AVIF: Mapping[str, Any] = {"Q": 63, "effort": 2}

SET: tuple[Drawing, ...] = (
    Drawing("small.jpg", _SMALL, _JPEG),
    Drawing("medium.jpg", _MEDIUM, _JPEG),
    Drawing("large.jpg", _LARGE, _JPEG),
    Drawing("small.png", _SMALL, _PNG),
    Drawing("medium.png", _MEDIUM, _PNG),
    Drawing("large.png", _LARGE, _PNG),
    Drawing("small.webp", _SMALL, _WEBP),
    Drawing("medium.webp", _MEDIUM, _WEBP),
    Drawing("large.webp", _LARGE, _WEBP),
    Drawing("small.avif", _SMALL, _AVIF),
    Drawing("medium.avif", _MEDIUM, _AVIF),
    Drawing("large.avif", _LARGE, _AVIF),
    Drawing("alpha.png", _MEDIUM, _PNG, alpha=True),
    Drawing("alpha.webp", _MEDIUM, _WEBP, alpha=True),
    Drawing("film.gif", _SMALL, frames=_FRAMES),
)


def kept() -> Path:
    """The folder `KEPT`, made if it is not there."""
    KEPT.mkdir(exist_ok=True)
    (KEPT / ".gitignore").write_text("*\n")
    return KEPT


def originals() -> Path:
    """The folder of the set, drawn if it is not there."""
    folder = kept() / "originals"
    drawn = folder / f".drawn-{_formula()}"
    if not drawn.exists():
        folder.mkdir(exist_ok=True)
        for drawing in SET:
            say(f"drawing {drawing.name}, {drawing.pixels / 1e6:g} MP")
            _draw(drawing).write_to_file(str(folder / drawing.name), keep="none", **drawing.options)
        drawn.touch()
    return folder


def many(name: str, folder: Path) -> Path:
    """Put one original of the set into a folder under `NAMES` names; return the folder."""
    stem, _, ending = name.partition(".")
    for index in range(NAMES):
        place = folder / f"{stem}-{index}.{ending}"
        place.unlink(missing_ok=True)
        os.link(originals() / name, place)
    return folder


@dataclass(frozen=True, slots=True)
class Wish:
    """A picture that is asked for: the source image's name, the width, the type of the answer."""

    name: str
    width: int
    type: str


def unique(name: str, width: int, type_: str) -> Iterator[Wish]:
    """Pictures of one cost, none like another for 5,000 of them: `NAMES` names, widths within ±40.

    Threads may share it: each step is one of CPython's own iterators'.
    """
    stem, _, ending = name.partition(".")
    pairs = itertools.product(range(width - 40, width + 41), range(NAMES))
    return itertools.starmap(
        lambda wide, index: Wish(f"{stem}-{index}.{ending}", wide, type_), itertools.cycle(pairs)
    )


def noise(side: int) -> bytes:
    """A small PNG that cannot be packed: 92 px a side are 25 KB."""
    bands = [pyvips.Image.gaussnoise(side, side, sigma=40, mean=128, seed=seed) for seed in (1, 2, 3)]
    joined = bands[0].bandjoin(bands[1:]).cast("uchar").copy(interpretation="srgb")
    return bytes(joined.pngsave_buffer())


def _formula() -> str:
    vips = ".".join(str(pyvips.version(part)) for part in range(3))
    return hashlib.sha256(Path(__file__).read_bytes() + vips.encode()).hexdigest()[:12]


def _draw(drawing: Drawing) -> Any:
    height = int((drawing.pixels / 1.5) ** 0.5)
    width = drawing.pixels // height
    frames = [_photo(width, height, seed) for seed in range(drawing.frames)]
    if drawing.alpha:
        return frames[0].bandjoin(_hole(width, height)).copy(interpretation="srgb")
    if drawing.frames == 1:
        return frames[0]
    strip = pyvips.Image.arrayjoin(frames, across=1).copy()
    strip.set_type(pyvips.GValue.gint_type, "page-height", height)
    strip.set_type(pyvips.GValue.array_int_type, "delay", [80] * drawing.frames)
    return strip


def _photo(width: int, height: int, seed: int) -> Any:
    """As hard to code as a photo: soft shapes, edges and grain."""
    layers = [
        pyvips.Image.perlin(width, height, cell_size=size, seed=size + seed) * weight
        for size, weight in ((512, 90), (128, 50), (32, 25), (8, 10))
    ]
    shape = sum(layers[1:], layers[0]) + 128
    edges = pyvips.Image.worley(width, height, cell_size=300, seed=7 + seed) * 0.4
    grain = pyvips.Image.gaussnoise(width, height, sigma=6, mean=0, seed=1 + seed)
    bands = [shape + grain, shape * 0.8 + edges + grain, edges + 40 + grain]
    return bands[0].bandjoin(bands[1:]).cast("uchar").copy(interpretation="srgb").copy_memory()


def _hole(width: int, height: int) -> Any:
    """Opaque at the edges, see-through in the middle."""
    place = pyvips.Image.xyz(width, height)
    across, down = (place[0] / width - 0.5) * 2, (place[1] / height - 0.5) * 2
    return ((across * across + down * down) * 255).cast("uchar").copy_memory()
