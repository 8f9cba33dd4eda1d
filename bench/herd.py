"""Herd: a thousand clients want one new picture at the same moment.

Each has a connection open already; the source image lies in an S3 bucket that counts its reads
(`bench/bucket.py`), decodes are counted by the server. What is shown is the worst of the rounds, each with a
new original, and how long the last of the thousand waits beside one who comes alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from bench.bucket import CREDENTIALS, Bucket, bucket
from bench.figure import Aim, Row, Run, medians, say
from bench.load import Link, WrongAnswer, check
from bench.pictures import Wish, originals
from bench.servers import Running, address, imgproxy

_CLIENTS = 1000
_ROUNDS = 5
_DECODES = 'imgproxy_stage_seconds_count{stage="decode"}'
_AIMS = (Aim("answered", "=", _CLIENTS), Aim("decodes", "=", 1), Aim("storage reads", "=", 1))


def measure(run: Run) -> Iterator[Row]:
    """One row."""
    counts: dict[str, list[float]] = {"answered": [], "decodes": [], "storage reads": []}
    times: dict[str, list[float]] = {"one alone ms": [], "last of the herd ms": []}
    with (
        bucket(originals() / "medium.jpg") as storage,
        imgproxy(storage.storage_url, run.workers, settings=CREDENTIALS) as server,
    ):
        for number in range(run.rounds(_ROUNDS)):
            times["one alone ms"].append(
                asyncio.run(_herd(server, Wish(f"alone-{number}.jpg", 400, "jpeg"), 1))[1]
            )
            _round(server, storage, Wish(f"herd-{number}.jpg", 400, "jpeg"), counts, times)
            say(f"herd, round {number + 1}: " + ", ".join(f"{name} {v[-1]:g}" for name, v in counts.items()))
    worst = {"answered": min(counts["answered"])}
    worst |= {name: max(counts[name]) for name in ("decodes", "storage reads")}
    yield Row(f"{_CLIENTS} clients", {**worst, **medians(times)}, _AIMS, {**counts, **times})


def _round(
    server: Running,
    storage: Bucket,
    wish: Wish,
    counts: dict[str, list[float]],
    times: dict[str, list[float]],
) -> None:
    before = server.counted(_DECODES)
    answered, taken = asyncio.run(_herd(server, wish, _CLIENTS))
    counts["answered"].append(answered)
    counts["decodes"].append(server.counted(_DECODES) - before)
    counts["storage reads"].append(storage.reads[wish.name])
    times["last of the herd ms"].append(taken)


async def _herd(server: Running, wish: Wish, clients: int) -> tuple[int, float]:
    """How many got the picture, and milliseconds until the last of them had it."""
    links = [await Link.open(server.base) for _ in range(clients)]
    begun = time.perf_counter()
    answers = await asyncio.gather(*(link.get(address(wish)) for link in links), return_exceptions=True)
    taken = (time.perf_counter() - begun) * 1000
    for link in links:
        link.close()
    bodies = [answer.body for answer in answers if not isinstance(answer, BaseException)]
    if len(set(bodies)) > 1:
        raise WrongAnswer(f"{wish}: the herd was given different pictures")
    for body in bodies[:1]:
        check(wish, body)
    return len(bodies), taken
