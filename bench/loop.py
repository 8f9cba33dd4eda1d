"""What the pixels cost: libvips in threads, in a process that does nothing else.

The same decoder with the largest shrink-on-load, resize, and encoder with the server's settings; as many
threads as the server has workers. No HTTP, no limits, no sandbox, no checks.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyvips

from bench.figure import Turn
from bench.pictures import Wish

SAVED: dict[str, dict[str, Any]] = {
    "jpeg": {"Q": 80},
    "webp": {"Q": 80, "effort": 4},
    "avif": {"Q": 63, "effort": 0, "compression": "av1"},
}
"""The server's defaults, IMGPROXY_QUALITY and IMGPROXY_EFFORT."""

_ENDINGS = {"jpeg": ".jpg", "webp": ".webp", "avif": ".avif"}
_ANY = 1_000_000  # a height that no picture has


def prepare() -> None:
    """One thread a picture, and none remembered."""
    pyvips.cache_set_max(0)
    pyvips.concurrency_set(1)


def make(root: Path, wish: Wish) -> bytes:
    """The same picture with nothing around it."""
    picture = _shrunk(str(root / wish.name), wish.width)
    return bytes(picture.write_to_buffer(_ENDINGS[wish.type], keep="none", **SAVED[wish.type]))


def run(root: Path, wishes: Iterator[Wish], *, threads: int, seconds: float) -> Turn:
    """Make pictures for so long."""
    begun = time.perf_counter()
    until = begun + seconds

    def work(_: int) -> int:
        count = 0
        while time.perf_counter() < until:
            make(root, next(wishes))
            count += 1
        return count

    with ThreadPoolExecutor(threads) as executor:
        done = sum(executor.map(work, range(threads)))
    return Turn(done, time.perf_counter() - begun)


def _shrunk(path: str, width: int) -> Any:
    """JPEG by the largest factor that its decoder has; all else as vips_thumbnail does it."""
    if not path.endswith(".jpg"):
        pages = "[n=-1]" if path.endswith(".gif") else ""
        return pyvips.Image.thumbnail(path + pages, width, height=_ANY, size="down")
    full = pyvips.Image.jpegload(path).width
    factor = next((step for step in (8, 4, 2) if full >= step * width), 1)
    picture = pyvips.Image.jpegload(path, shrink=factor, access="sequential", fail_on="error")
    return picture.resize(width / picture.width)
