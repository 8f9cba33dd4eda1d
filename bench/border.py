"""Border: what it costs that pixels are made in another process.

One 6 MP JPEG to 400 and 800 px, job after job: by the pipeline in this process, and through the pool by a
worker, by turns. The difference is the border: the message, the descriptors, the worker's caches.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

from bench import loop
from bench.figure import Row, Run, medians, say
from bench.pictures import originals
from imgproxy.engine import pipeline
from imgproxy.engine.pool import Pool
from imgproxy.engine.worker_protocol import Encoding, Job
from imgproxy.image.negotiate import Output
from imgproxy.image.plan import Ceiling
from imgproxy.image.transform import Fit, Limits, Transform, build

_WIDTHS = (400, 800)
_JOBS = 100


def measure(run: Run) -> Iterator[Row]:
    """A row for each width."""
    loop.prepare()
    for width in _WIDTHS:
        say(f"border, {width} px")
        found = asyncio.run(_border(originals() / "medium.jpg", width, 20 if run.quick else _JOBS))
        middle = medians(found)
        border = medians({"border ms": [b - a for a, b in zip(*found.values(), strict=True)]})
        yield Row(f"JPEG {width}", {**middle, **border}, rounds=found)


async def _border(original: Path, width: int, jobs: int) -> dict[str, list[float]]:
    """Milliseconds of each job, here and over there."""
    pool = Pool(1, 8, spare=0)
    await pool.start()
    descriptor = os.open(original, os.O_RDONLY)
    job = _job(width)
    here: list[float] = []
    there: list[float] = []
    try:
        for _ in range(jobs):
            begun = time.perf_counter()
            _render_here(job, descriptor)
            here.append((time.perf_counter() - begun) * 1000)
            begun = time.perf_counter()
            await pool.run(job, descriptor)
            there.append((time.perf_counter() - begun) * 1000)
    finally:
        os.close(descriptor)
        await pool.close()
    return {"in process ms": here, "in a worker ms": there}


def _job(width: int) -> Job:
    wish = build(Transform(fit=Fit.INSIDE, width=width), [], fit_in=True, limits=Limits())
    return Job(wish, Output(), Encoding(), Ceiling(50_000_000, 200, 8192))


def _render_here(job: Job, descriptor: int) -> None:
    result = os.memfd_create("result")
    os.lseek(descriptor, 0, os.SEEK_SET)
    try:
        made = pipeline.render(job, descriptor, [], result, stop=lambda _: None)
        os.pread(result, made.size, 0)
    finally:
        os.close(result)
