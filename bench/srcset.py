"""Srcset: a page that nobody has seen yet asks for eight widths of one new original at once.

As a browser does for `<img srcset>`, only worse: all eight. The source lies in an S3 bucket that counts its
reads; against the loop, which makes the same eight from a file. What is shown of reads is the worst of the
rounds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from bench import loop
from bench.bucket import CREDENTIALS, Bucket, bucket
from bench.figure import Aim, Row, Run, in_turn, medians, ratio
from bench.load import Link, check
from bench.pictures import Wish, originals
from bench.servers import Running, address, imgproxy

_WIDTHS = (160, 320, 480, 640, 800, 1024, 1280, 1600)
_ROUNDS = 7
_AIM = Aim("storage reads", "=", 1)


def measure(run: Run) -> Iterator[Row]:
    """One row."""
    loop.prepare()
    with (
        bucket(originals() / "medium.jpg") as storage,
        imgproxy(storage.storage_url, run.workers, settings=CREDENTIALS) as server,
    ):
        sides = {"loop ms": lambda: _looped(run.workers), "server ms": _served(server)}
        found = in_turn("srcset", sides, rounds=run.rounds(_ROUNDS))
        reads = _worst(storage)
    values = {**medians(found), "ratio": ratio(found, "loop ms", "server ms"), "storage reads": reads}
    yield Row("eight widths, JPEG", values, (_AIM,), found)


def _worst(storage: Bucket) -> float:
    return max(storage.reads.values())


def _looped(threads: int) -> float:
    wishes = [Wish("medium.jpg", width, "jpeg") for width in _WIDTHS]
    begun = time.perf_counter()
    with ThreadPoolExecutor(threads) as executor:
        list(executor.map(lambda wish: loop.make(originals(), wish), wishes))
    return (time.perf_counter() - begun) * 1000


def _served(server: Running) -> Callable[[], float]:
    names = (f"page-{number}.jpg" for number in range(1000))

    async def page(name: str) -> float:
        wishes = [Wish(name, width, "jpeg") for width in _WIDTHS]
        links = [await Link.open(server.base) for _ in wishes]
        begun = time.perf_counter()
        pairs = zip(links, wishes, strict=True)
        answers = await asyncio.gather(*(link.get(address(wish)) for link, wish in pairs))
        taken = (time.perf_counter() - begun) * 1000
        for link, wish, answer in zip(links, wishes, answers, strict=True):
            link.close()
            check(wish, answer.body)
        return taken

    return lambda: asyncio.run(page(next(names)))
