"""Misses: pictures a second of a whole server, against a bare libvips loop.

One 6 MP JPEG under 64 names, each picture of another width or name, so that neither a cache nor the merging
of requests answers for the server. The loop has as many threads as the server has workers (`bench/loop.py`)
and the machine for itself; the server shares it with the client that asks, over twice as many kept
connections as there are workers. With `--edges 2` there are two server processes. What each spends of the
processor for a picture tells where a difference comes from, on a busy machine too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench import load, loop, processor
from bench.figure import Aim, Row, Run, Turn, in_turn, medians, ratio, say
from bench.pictures import many, unique
from bench.servers import Running, address, edges_are_known, imgproxy

SIZES = (("jpeg", 400), ("jpeg", 800), ("webp", 400), ("webp", 800), ("avif", 400))
_ROUNDS = 7
_SECONDS = 3.0
_LEAST = 0.92


def measure(run: Run) -> Iterator[Row]:
    """A row for each type and width."""
    loop.prepare()
    root = many("medium.jpg", run.folder("misses"))
    with ExitStack() as stack:
        servers = {"one process": stack.enter_context(imgproxy(root, run.workers))}
        if edges_are_known():
            servers["two processes"] = stack.enter_context(imgproxy(root, run.workers, processes=2))
        else:
            say("two processes are left out: `imgproxy serve` has no --edges yet")
        for type_, width in SIZES:
            yield _row(run, root, servers, type_, width)


def _row(run: Run, root: Path, servers: dict[str, Running], type_: str, width: int) -> Row:
    seconds = run.seconds(_SECONDS)
    wishes = unique("medium.jpg", width, type_)
    spent: dict[str, list[float]] = {}

    def make() -> Turn:
        return loop.run(root, wishes, threads=run.workers, seconds=seconds)

    def ask(server: Running) -> Turn:
        return load.pictures(
            server.base, address, wishes, connections=2 * run.workers, seconds=seconds, fresh=b"fwd=miss"
        )

    sides = {"loop": partial(processor.rate, make, {"loop": lambda: [os.getpid()]}, spent)}
    for name, server in servers.items():
        processes = {f"workers of {name}": server.workers, name: server.edges}
        sides[name] = partial(processor.rate, partial(ask, server), processes, spent)
    found = in_turn(f"misses, {type_} {width}", sides, rounds=run.rounds(_ROUNDS))
    ratios = {f"ratio, {name}": ratio(found, name, "loop") for name in servers}
    values = {f"{name} /s": value for name, value in medians(found).items()} | ratios
    values |= {f"CPU ms, {name}": value for name, value in medians(spent).items()}
    aims = tuple(Aim(name, "≥", _LEAST) for name in ratios)
    return Row(f"{type_.upper()} {width}", values, aims, found)
