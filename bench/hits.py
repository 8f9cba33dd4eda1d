"""What a hit costs: against a bare aiohttp handler, and how long it takes while misses run.

Both servers answer as many bytes of one picture, in turn, each by one process on one core.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import threading
import urllib.request
from pathlib import Path

import pyvips

from bench import load
from bench.border import server_rate, unique_paths
from bench.pictures import photo
from bench.servers import bare_aiohttp, imgproxy

_ROUNDS = 5
_RATE = 300.0  # hits a second, open loop, while latency is measured
_NAMES = 64


def measure() -> dict[str, dict[str, float]]:
    """Figures by name."""
    workers = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _picture(root / "picture.png")
        original = photo(root / "photo.jpg")
        for index in range(_NAMES):
            os.link(original, root / f"photo-{index}.jpg")
        with imgproxy(root, workers, IMGPROXY_MEMORY_BYTES="64MiB") as port:
            target = "/filters:format(png)/picture.png"
            size = len(_get(port, target))
            return {
                "hits": {"bytes": size, **_throughput(port, target, size)},
                "hits under misses": _latency(port, target, workers),
            }


def _picture(path: Path) -> None:
    """One whose PNG has about 25 KB."""
    pyvips.Image.gaussnoise(92, 92, sigma=40, mean=128, seed=1).bandjoin(
        [pyvips.Image.gaussnoise(92, 92, sigma=40, mean=128, seed=seed) for seed in (2, 3)]
    ).cast("uchar").copy(interpretation="srgb").pngsave(str(path))


def _get(port: int, target: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{target}") as answer:
        return bytes(answer.read())


def _throughput(port: int, target: str, size: int) -> dict[str, float]:
    ours, bare = [], []
    with bare_aiohttp(size) as other:
        for _ in range(_ROUNDS):
            bare.append(load.rate(f"http://127.0.0.1:{other}/"))
            ours.append(load.rate(f"http://127.0.0.1:{port}{target}"))
    one, reference = statistics.median(ours), statistics.median(bare)
    return {"server per s": one, "bare aiohttp per s": reference, "ratio": one / reference}


def _latency(port: int, target: str, workers: int) -> dict[str, float]:
    """Milliseconds of hits, quiet and while every worker is busy with misses."""
    quiet = asyncio.run(load.latencies(port, target, a_second=_RATE, seconds=4))
    misses = threading.Thread(target=lambda: server_rate(port, unique_paths(600), workers * 2, seconds=7))
    misses.start()
    loaded = asyncio.run(load.latencies(port, target, a_second=_RATE, seconds=5))
    misses.join()
    return {
        f"{name} p{share * 100:g} ms": load.percentile(values, share) * 1000
        for name, values in (("quiet", quiet), ("loaded", loaded))
        for share in (0.5, 0.99)
    }
