"""What the process border costs, and what a whole server makes of the machine, against a bare libvips loop.

The loop is what the pixels cost: the same decoder, shrink-on-load, resize and encoder, in as many threads as
the server has workers, in a process that does nothing else. Both sides run in turn within one run, on
unique pictures, so neither a cache nor the merging of requests answers for the server.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyvips

from bench.pictures import photo
from bench.servers import imgproxy
from imgproxy.engine import pipeline
from imgproxy.engine.pool import Pool
from imgproxy.engine.protocol import Encoding, Job
from imgproxy.image.negotiate import Output
from imgproxy.image.plan import Ceiling
from imgproxy.image.transform import Fit, Limits, Transform, build

_NAMES = 64
_ROUNDS = 7
_SECONDS = 3.0  # of each side in each round
_WIDTHS = (400, 800)
_CONNECTIONS_PER_WORKER = 2


def measure() -> dict[str, dict[str, float]]:
    """Figures by name."""
    pyvips.cache_set_max(0)
    pyvips.concurrency_set(1)
    workers = len(os.sched_getaffinity(0))
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        original = photo(root / "photo.jpg")
        for index in range(_NAMES):
            os.link(original, root / f"photo-{index}.jpg")
        for width in _WIDTHS:
            figures[f"border, 6 MP JPEG to {width} px"] = asyncio.run(_border(original, width))
        with imgproxy(root, workers, IMGPROXY_MEMORY_BYTES="8MiB") as port:
            for width in _WIDTHS:
                figures[f"misses, 6 MP JPEG to {width} px"] = _misses(root, port, width, workers)
    return figures


# --- the border alone: one job at a time, in process and in a worker -----------------------------------


def _job(width: int) -> Job:
    wish = build(Transform(fit=Fit.INSIDE, width=width), [], fit_in=True, limits=Limits())
    return Job(wish, Output(), Encoding(), Ceiling(50_000_000, 200, 8192))


async def _border(original: Path, width: int) -> dict[str, float]:
    """Median milliseconds here, over there, and the difference."""
    pool = Pool(1, 8, spare=0)
    await pool.start()
    descriptor = os.open(original, os.O_RDONLY)
    job = _job(width)
    here, there = [], []
    try:
        for _ in range(60):
            here.append(_timed(lambda: _render_here(job, descriptor)))
            begun = time.perf_counter()
            await pool.run(job, descriptor)
            there.append(time.perf_counter() - begun)
    finally:
        os.close(descriptor)
        await pool.close()
    inside, across = statistics.median(here) * 1000, statistics.median(there) * 1000
    return {"in process ms": inside, "in a worker ms": across, "border ms": across - inside}


def _render_here(job: Job, descriptor: int) -> None:
    result = os.memfd_create("result")
    os.lseek(descriptor, 0, os.SEEK_SET)
    try:
        made = pipeline.render(job, descriptor, [], result, stop=lambda _: None)
        os.pread(result, made.size, 0)
    finally:
        os.close(result)


def _timed(work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


# --- a whole server against a bare loop -----------------------------------------------------------------


def _misses(root: Path, port: int, width: int, workers: int) -> dict[str, float]:
    """Pictures a second by each side, and the ratio of the medians of interleaved rounds."""
    paths = unique_paths(width)
    loop_rates, server_rates = [], []
    for _ in range(_ROUNDS):
        loop_rates.append(_loop_rate(root, paths, workers))
        server_rates.append(server_rate(port, paths, workers * _CONNECTIONS_PER_WORKER))
    loop, server = statistics.median(loop_rates), statistics.median(server_rates)
    return {"loop per s": loop, "server per s": server, "ratio": server / loop}


def unique_paths(width: int) -> Iterator[tuple[str, int]]:
    """Unique pictures of nearly one cost: 64 names, and widths that differ by a few pixels."""
    while True:
        for offset in range(-40, 41):
            for index in range(_NAMES):
                yield f"photo-{index}.jpg", width + offset


def _loop_rate(root: Path, paths: Iterator[tuple[str, int]], threads: int) -> float:
    work = [next(paths) for _ in range(4000)]
    done = 0
    until = time.perf_counter() + _SECONDS

    def run(share: list[tuple[str, int]]) -> int:
        count = 0
        for name, width in share:
            if time.perf_counter() >= until:
                break
            _bare(str(root / name), width)
            count += 1
        return count

    begun = time.perf_counter()
    with ThreadPoolExecutor(threads) as executor:
        done = sum(executor.map(run, [work[index::threads] for index in range(threads)]))
    return done / (time.perf_counter() - begun)


def _bare(path: str, width: int) -> bytes:
    """The same pixels with nothing around them."""
    full = 3000 / width
    shrink = next((step for step in (8, 4, 2) if full >= step), 1)
    picture = pyvips.Image.jpegload(path, shrink=shrink, access="sequential", fail_on="error")
    return picture.resize(width / picture.width).jpegsave_buffer(Q=80, keep="none")


def server_rate(
    port: int, paths: Iterator[tuple[str, int]], connections: int, *, seconds: float = _SECONDS
) -> float:
    """Pictures a second of a server, each asked for once."""
    asked = (next(paths) for _ in range(4000))
    targets = [f"/fit-in/{width}x0/filters:format(jpeg)/{name}" for name, width in asked]
    return asyncio.run(_drive(port, targets, connections, seconds))


async def _drive(port: int, targets: list[str], connections: int, seconds: float) -> float:
    """Ask for targets over so many kept connections; a bare client, which leaves the machine alone."""
    until = time.perf_counter() + seconds
    waiting = iter(targets)
    done = 0

    async def ask() -> None:
        nonlocal done
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for target in waiting:
            if time.perf_counter() >= until:
                break
            writer.write(f"GET {target} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200") or b"fwd=miss" not in head:
                raise RuntimeError(head.decode())
            size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(size)
            done += 1
        writer.close()

    begun = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(connections)))
    return done / (time.perf_counter() - begun)
