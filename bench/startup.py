"""Start-up: from the command to the first answer.

`imgproxy serve` until `/readyz` says 200, and until its first picture (0.3 MP JPEG to 400 px); beside it the
bare aiohttp handler until it answers. By turns, each time a new process.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from bench.figure import Row, Run, in_turn, medians
from bench.hits import get
from bench.pictures import Wish, many, originals
from bench.servers import address, bare_aiohttp, imgproxy

_ROUNDS = 7
_WISH = Wish("small-0.jpg", 400, "jpeg")


def measure(run: Run) -> Iterator[Row]:
    """One row."""
    root = many("small.jpg", run.folder("startup"))
    sides = {
        "bare aiohttp ms": _bare,
        "ready ms": lambda: _ready(root, run.workers),
        "first picture ms": lambda: _first_picture(root, run.workers),
    }
    found = in_turn("startup", sides, rounds=run.rounds(_ROUNDS))
    yield Row(f"{run.workers} workers", medians(found), rounds=found)


def _bare() -> float:
    begun = time.perf_counter()
    with bare_aiohttp(originals() / "small.jpg"):
        return (time.perf_counter() - begun) * 1000


def _ready(root: Path, workers: int) -> float:
    begun = time.perf_counter()
    with imgproxy(root, workers):
        return (time.perf_counter() - begun) * 1000


def _first_picture(root: Path, workers: int) -> float:
    begun = time.perf_counter()
    with imgproxy(root, workers) as server:
        get(f"{server.base}{address(_WISH)}")
        return (time.perf_counter() - begun) * 1000
