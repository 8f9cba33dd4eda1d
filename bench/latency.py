"""Latency: how long a hit takes, quiet and while every worker is busy with misses.

Three hundred hits of 25 KB a second, open loop: time counts from the moment at which a request was due, so a
stall is not hidden. Misses are 6 MP JPEG to 600 px, asked for by a process of its own over twice as many
connections as there are workers. Who measures has real-time priority where it may (`bench/load.py`).
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from bench import load
from bench.figure import Aim, Row, Run, in_turn, medians, ratio
from bench.hits import TARGET, get
from bench.pictures import many, noise, unique
from bench.servers import address, imgproxy

_A_SECOND = 300.0
_ROUNDS = 5
_SECONDS = 5.0
_SIDE = 92  # 25 KB
_AIM = Aim("p99 ratio", "≤", 3)


def measure(run: Run) -> Iterator[Row]:
    """One row."""
    root = many("medium.jpg", run.folder("latency"))
    (root / "picture.png").write_bytes(noise(_SIDE))
    p50: dict[str, list[float]] = {}
    with imgproxy(root, run.workers) as server:
        get(f"{server.base}{TARGET}")
        hits = partial(_hits, server.port, run.seconds(_SECONDS), p50)

        def loaded() -> float:
            with _misses(server.base, 2 * run.workers):
                return hits("loaded p50 ms")

        sides = {"quiet p99 ms": lambda: hits("quiet p50 ms"), "loaded p99 ms": loaded}
        p99 = in_turn("latency", sides, rounds=run.rounds(_ROUNDS))
    values = {**medians(p50), **medians(p99), "p99 ratio": ratio(p99, "loaded p99 ms", "quiet p99 ms")}
    yield Row("hits of 25 KB", values, (_AIM,), {**p50, **p99})


def _hits(port: int, seconds: float, p50: dict[str, list[float]], name: str) -> float:
    """Milliseconds that 99 of 100 hits do not exceed; the median goes into `p50`."""
    taken = load.latencies(port, TARGET, a_second=_A_SECOND, seconds=seconds)
    p50.setdefault(name, []).append(load.percentile(taken, 0.5) * 1000)
    return load.percentile(taken, 0.99) * 1000


@contextmanager
def _misses(base: str, connections: int) -> Iterator[None]:
    """Keep the server busy meanwhile, from another process: this one's threads have to be in time."""
    context = multiprocessing.get_context("spawn")
    begun = context.Event()
    asking = context.Process(target=_ask, args=(base, connections, begun), daemon=True)
    asking.start()
    try:
        assert begun.wait(60)
        yield
    finally:
        asking.kill()
        asking.join()


def _ask(base: str, connections: int, begun: object) -> None:
    """Ask for misses until killed, each time from where nobody else has asked."""
    wishes = unique("medium.jpg", 600, "jpeg")
    load.pictures(base, address, wishes, connections=connections, count=2 * connections)
    begun.set()  # type: ignore[attr-defined]
    load.pictures(base, address, wishes, connections=connections)
