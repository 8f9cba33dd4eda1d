"""Memory: what the server and its workers hold after 2,000, 10,000 and 20,000 misses.

Resident set size (RSS). JPEGs of 0.3 MP to 40 to 400 px, no two alike. The caches of results hold 8 MiB each,
on disk and in memory, so they are full by the first look; the one that remembers how a URL reads, which is
bounded by entries (8,192, some 25 MB), is filled before by URLs that make nothing. What grows after the first
look is a leak. Workers are replaced by age and by size, so theirs goes up and down.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Iterator
from pathlib import Path

from bench import load
from bench.figure import Aim, Row, Run, say
from bench.load import Link
from bench.pictures import NAMES, Wish, many
from bench.servers import Running, address, imgproxy

_LOOKS = (2_000, 10_000, 20_000)
_QUICK = (500, 1_000, 2_000)
_STEP = 500
_URLS = 9_000
_WIDTHS = range(40, 400)  # 64 names in each are 23,040
_CACHES = {"IMGPROXY_MEMORY_BYTES": "8MiB", "IMGPROXY_CACHE_BYTES": "8MiB"}
_AIMS = (Aim("against the first", "≤", 1.05), Aim("against the first", "≥", 0.95))


def measure(run: Run) -> Iterator[Row]:
    """A row for each look."""
    looks = _QUICK if run.quick else _LOOKS
    root = many("small.jpg", run.folder("memory"))
    wishes = _wishes()
    caches = {**_CACHES, "IMGPROXY_CACHE_DIR": str(run.folder("memory cache"))}
    first = 0.0
    with imgproxy(root, run.workers, settings=caches) as server:
        asyncio.run(_fill(server.base))
        yield Row("none yet", _held(server))
        for done in range(_STEP, looks[-1] + 1, _STEP):
            load.pictures(
                server.base, address, wishes, connections=2 * run.workers, count=_STEP, fresh=b"fwd=miss"
            )
            held = _held(server)
            say(f"memory, {done} misses: " + ", ".join(f"{name} {value:.1f}" for name, value in held.items()))
            if done in looks:
                first = first or held["server MB"]
                grown = {"against the first": held["server MB"] / first}
                yield Row(f"{done:,} misses", {**held, **grown}, _AIMS if done > looks[0] else ())


def _wishes() -> Iterator[Wish]:
    """More pictures than are asked for, none like another, small and large mixed as by lot."""
    pairs = list(itertools.product(_WIDTHS, range(NAMES)))
    random.Random(1).shuffle(pairs)  # noqa: S311  the same order each time
    for width, index in pairs:
        yield Wish(f"small-{index}.jpg", width, "jpeg")


async def _fill(base: str) -> None:
    """Have more URLs read than are remembered."""
    link = await Link.open(base)
    for number in range(_URLS):
        await link.get(f"/params/fit-in/{number % 4000 + 1}x0/filters:format(jpeg)/small-{number}.jpg")
    link.close()


def _held(server: Running) -> dict[str, float]:
    workers = [_rss(pid) for pid in server.workers()]
    return {"server MB": _rss(server.process.pid), "workers MB": sum(workers)}


def _rss(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it has ended
        return 0.0
    return sum(int(line.split()[1]) / 1000 * 1.024 for line in lines if line.startswith("VmRSS:"))
