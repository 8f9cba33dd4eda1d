"""Hits: answers a second of one picture from memory, against a bare aiohttp handler.

The handler answers the same 25 KB from a variable, on uvloop and with its access log off; the server looks
for the picture, asks whether it may still be shown, writes headers and a log line. One process each, by wrk
over 16 kept connections.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench import load, processor
from bench.figure import Aim, Row, Run, in_turn, medians, ratio
from bench.pictures import noise
from bench.servers import bare_aiohttp, imgproxy

TARGET = "/filters:format(png)/picture.png"
_SIDES = {"25 KB": 92, "2 KB": 26}
_ROUNDS = 7
_SECONDS = 3.0
_AIMS = {"25 KB": (Aim("ratio", "≥", 0.6),)}


def measure(run: Run) -> Iterator[Row]:
    """A row for each size."""
    for name, side in _SIDES.items():
        root = run.folder(f"hits of {name}")
        (root / "picture.png").write_bytes(noise(side))
        yield _row(run, name, root)


def _row(run: Run, name: str, root: Path) -> Row:
    seconds = run.seconds(_SECONDS)
    spent: dict[str, list[float]] = {}
    with imgproxy(root, 1) as server:
        answer = root / "answer"
        answer.write_bytes(get(f"{server.base}{TARGET}"))
        with bare_aiohttp(answer) as bare:
            ask = partial(load.wrk, seconds=seconds)
            sides = {
                "bare aiohttp": partial(
                    processor.rate, partial(ask, f"{bare.base}/"), {"bare aiohttp": bare.edges}, spent
                ),
                "server": partial(
                    processor.rate, partial(ask, f"{server.base}{TARGET}"), {"server": server.edges}, spent
                ),
            }
            found = in_turn(f"hits, {name}", sides, rounds=run.rounds(_ROUNDS))
    values = {f"{name} /s": value for name, value in medians(found).items()}
    values["ratio"] = ratio(found, "server", "bare aiohttp")
    values |= {f"CPU ms, {name}": value for name, value in medians(spent).items()}
    return Row(name, values, _AIMS.get(name, ()), found)


def get(url: str) -> bytes:
    """One answer's body."""
    with urllib.request.urlopen(url) as answer:  # noqa: S310  our own server
        return bytes(answer.read())
