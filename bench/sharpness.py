"""Sharpness: PSNR of PNG results against a Lanczos resize of all that is in the source.

Sources of 1281×853 pixels, text with thin lines and a noisy photo, at 24 widths: the whole, halves, thirds,
quarters, sixths and eighths, each also a pixel more or less, and some between. The median and the worst
decibels; 99 is the same to the pixel. `exact` is ours with IMGPROXY_SHRINK=exact. IPX (sharp) is measured
where npm can install it, others as with `peers`.
"""

from __future__ import annotations

import math
import statistics
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyvips

from bench import installed, peers
from bench.figure import Missing, Row, Run, say
from bench.load import Address
from bench.pictures import Wish
from bench.servers import address, imgproxy

_WIDTH, _HEIGHT = 1281, 853
_WHOLE = [_WIDTH // part + beside for part in (2, 3, 4, 6, 8) for beside in (-1, 0, 1)]
_WIDTHS = (*_WHOLE, 1200, 1024, 960, 800, 720, 500, 375, 256, 100)
_SAME = 99.0


def measure(run: Run) -> Iterator[Row]:
    """A row for each type and drawing."""
    root = peers.folder()
    root.mkdir(exist_ok=True)
    sources = _drawn(root)
    with ExitStack() as stack:
        ours = stack.enter_context(imgproxy(root, run.workers))
        exact = stack.enter_context(imgproxy(root, run.workers, settings={"IMGPROXY_SHRINK": "exact"}))
        servers: dict[str, tuple[str, Address]] = {
            "ours": (ours.base, address),
            "exact": (exact.base, address),
        }
        try:
            servers["ipx"] = (stack.enter_context(installed.ipx(run, root)), peers.ADDRESSES["ipx"])
        except (Missing, RuntimeError) as error:
            say(f"ipx is left out: {error}")
        servers |= {name: (base, peers.ADDRESSES[name.partition("-")[0]]) for name, base in run.peers.items()}
        for title, source in sources.items():
            values: dict[str, float] = {}
            for name, (base, where) in servers.items():
                found = _decibels(source, base, where)
                values |= {f"{name} median dB": statistics.median(found), f"{name} worst dB": min(found)}
            yield Row(title, values)


def _drawn(root: Path) -> dict[str, Path]:
    sources = {}
    for title, pixels in (("text", _text()), ("photo", _photo())):
        picture = pyvips.Image.new_from_array(pixels).copy(interpretation="srgb")
        for ending in ("jpg", "webp"):
            path = root / f"sharp-{title}.{ending}"
            picture.write_to_file(str(path), Q=90)
            sources[f"{'JPEG' if ending == 'jpg' else 'WebP'} {title}"] = path
    return sources


def _text() -> np.ndarray:
    """Dark strokes of one and two pixels on white, and thin coloured lines through all of it."""
    random = np.random.default_rng(3)
    drawn = np.full((_HEIGHT, _WIDTH, 3), 255, np.uint8)
    for top in range(6, _HEIGHT - 12, 18):
        for left in range(4, _WIDTH - 10, 9):
            if random.random() < 0.8:
                drawn[top : top + 11, left : left + random.integers(1, 3)] = 20
                middle = top + random.integers(0, 11)
                drawn[middle : middle + random.integers(1, 3), left : left + 6] = 20
    drawn[::97] = (200, 0, 0)
    drawn[:, ::61] = (0, 0, 180)
    return drawn


def _photo() -> np.ndarray:
    """Soft colours with the noise of a camera."""
    down, across = np.mgrid[0:_HEIGHT, 0:_WIDTH]
    soft = 128 + 60 * np.sin(across / 90) + 50 * np.cos(down / 70 + across / 200)
    grain = np.random.default_rng(1).normal(0, 8, (_HEIGHT, _WIDTH, 3))
    return np.clip(np.stack([soft, soft * 0.8 + 20, 255 - soft], 2) + grain, 0, 255).astype(np.uint8)


def _decibels(source: Path, base: str, where: Address) -> list[float]:
    whole = pyvips.Image.new_from_file(str(source)).copy_memory()
    found = []
    for width in _WIDTHS:
        url = base + where(Wish(source.name, width, "png"))
        with urllib.request.urlopen(url) as answer:  # noqa: S310  our own servers
            result = pyvips.Image.new_from_buffer(answer.read(), "")
        wanted = whole.resize(result.width / whole.width, vscale=result.height / whole.height)
        error = float(((result.extract_band(0, n=3).numpy().astype(float) - wanted.numpy()) ** 2).mean())
        found.append(_SAME if error == 0 else min(10 * math.log10(255**2 / error), _SAME))
    return found
