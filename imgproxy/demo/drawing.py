"""Pictures for the demo, drawn when they are needed: the same bytes every time, and no network.

The server never makes a pixel, so it starts this as a child: `python -m imgproxy.demo FOLDER`.
To add a picture: its file, its line in the tuple, its test.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imgproxy import file_modes
from imgproxy.demo import animation, landscape, logo, portrait, rotated, wide_gamut
from imgproxy.image.filters.base import Image


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture under the key that it is stored at; libvips takes its type from the key's ending."""

    key: str
    image: Callable[[], Image]
    options: Mapping[str, Any] = field(default_factory=dict)
    """How libvips is to write it."""


DRAWINGS: tuple[Drawing, ...] = (
    Drawing("demo/landscape.jpg", landscape.image, {"Q": 90}),
    Drawing("demo/portrait.jpg", portrait.image, {"Q": 90}),
    Drawing("demo/logo.png", logo.image),
    Drawing("demo/loop.gif", animation.image, {"effort": 4}),
    Drawing("demo/rotated.jpg", rotated.image, {"Q": 90}),
    Drawing("demo/wide-gamut.jpg", wide_gamut.image, {"Q": 92, "subsample_mode": "off"}),
)


def draw(folder: Path) -> list[Path]:
    """Put every picture into a folder, unless it is there; return where they all lie."""
    with ThreadPoolExecutor() as threads:  # libvips works outside Python's lock
        return list(threads.map(lambda drawing: _place(drawing, folder), DRAWINGS))


def _place(drawing: Drawing, folder: Path) -> Path:
    path = folder / drawing.key
    if not path.exists():
        _write(drawing, path)
    return path


def _write(drawing: Drawing, path: Path) -> None:
    """Write whole or not at all: a name that begins with a dot is no key, so nobody is served a half."""
    file_modes.make_folder(path.parent)
    draft = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        drawing.image().write_to_file(str(draft), **drawing.options)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
