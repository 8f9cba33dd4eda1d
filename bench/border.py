"""What the process border costs, and what a whole server makes of the machine, against a bare libvips loop.

The loop is what the pixels cost: the same decoder, shrink-on-load, resize and encoder, in as many threads as
the server has workers, in a process that does nothing else. Both sides run in turn within one run, on
unique pictures, so neither a cache nor the merging of requests answers for the server.

    python -m bench                 all of it, about a minute
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyvips

from bench.pictures import photo
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


def main() -> int:
    """Measure, and print one line a figure."""
    pyvips.cache_set_max(0)
    pyvips.concurrency_set(1)
    workers = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        original = photo(root / "photo.jpg")
        for index in range(_NAMES):
            os.link(original, root / f"photo-{index}.jpg")
        figures = {"machine": _machine(workers)}
        for width in _WIDTHS:
            figures[f"border {width}"] = asyncio.run(_border(original, width))
            _say(f"border, 6 MP JPEG to {width} px", figures[f"border {width}"])
        with _server(root, workers) as port:
            for width in _WIDTHS:
                figures[f"misses {width}"] = _misses(root, port, width, workers)
                _say(f"misses, 6 MP JPEG to {width} px", figures[f"misses {width}"])
    print(json.dumps(figures))
    return 0


def _machine(workers: int) -> dict[str, object]:
    vips = ".".join(str(pyvips.version(part)) for part in range(3))
    return {"cores": workers, "python": platform.python_version(), "libvips": vips}


def _say(what: str, figures: dict[str, float]) -> None:
    print(f"{what}: " + ", ".join(f"{name} {value:.3g}" for name, value in figures.items()), flush=True)


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
    paths = _paths(width)
    loop_rates, server_rates = [], []
    for _ in range(_ROUNDS):
        loop_rates.append(_loop_rate(root, paths, workers))
        server_rates.append(_server_rate(port, paths, workers * _CONNECTIONS_PER_WORKER))
    loop, server = statistics.median(loop_rates), statistics.median(server_rates)
    return {"loop per s": loop, "server per s": server, "ratio": server / loop}


def _paths(width: int) -> Iterator[tuple[str, int]]:
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


def _server_rate(port: int, paths: Iterator[tuple[str, int]], connections: int) -> float:
    asked = (next(paths) for _ in range(4000))
    targets = [f"/fit-in/{width}x0/filters:format(jpeg)/{name}" for name, width in asked]
    return asyncio.run(_drive(port, targets, connections))


async def _drive(port: int, targets: list[str], connections: int) -> float:
    """Ask for targets over so many kept connections; a bare client, which leaves the machine alone."""
    until = time.perf_counter() + _SECONDS
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


@contextlib.contextmanager
def _server(root: Path, workers: int) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "IMGPROXY_STORAGE": f"file://{root}",
        "IMGPROXY_UNREGISTERED": "public",
        "IMGPROXY_WORKERS": str(workers),
        "IMGPROXY_ADMIN_PORT": "0",
        "IMGPROXY_MEMORY_BYTES": "8MiB",
    }
    command = [sys.executable, "-m", "imgproxy", "serve", "--port", str(port)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        for line in server.stdout:
            if "listens" in line:
                break
        drain = ThreadPoolExecutor(1)
        drain.submit(server.stdout.read)
        yield port
        server.send_signal(signal.SIGTERM)
        server.wait(20)
        drain.shutdown()
