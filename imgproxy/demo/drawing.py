"""Images of the demo, drawn on first use: the same bytes every time, without the network.

The server never decodes an image, so the CLI runs this in a child process: `python -m imgproxy.demo FOLDER`.
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
    """An image with the key that it is stored at; the ending of the key decides its type."""

    key: str
    image: Callable[[], Image]
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of libvips for writing."""


DRAWINGS: tuple[Drawing, ...] = (
    Drawing("demo/landscape.jpg", landscape.image, {"Q": 90}),
    Drawing("demo/portrait.jpg", portrait.image, {"Q": 90}),
    Drawing("demo/logo.png", logo.image),
    Drawing("demo/loop.gif", animation.image, {"effort": 4}),
    Drawing("demo/rotated.jpg", rotated.image, {"Q": 90}),
    Drawing("demo/wide-gamut.jpg", wide_gamut.image, {"Q": 92, "subsample_mode": "off"}),
)


def draw(folder: Path) -> list[Path]:
    """Write every image into a folder, unless it is there; return their paths."""
    with ThreadPoolExecutor() as threads:  # libvips works outside Python's lock
        return list(threads.map(lambda drawing: _place(drawing, folder), DRAWINGS))


def _place(drawing: Drawing, folder: Path) -> Path:
    path = folder / drawing.key
    if not path.exists():
        _write(drawing, path)
    return path


def _write(drawing: Drawing, path: Path) -> None:
    """Write a whole image or nothing: a name that begins with a dot is never served."""
    file_modes.make_folder(path.parent)
    draft = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        drawing.image().write_to_file(str(draft), **drawing.options)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
