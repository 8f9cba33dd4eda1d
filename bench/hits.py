"""Hits: answers a second of one picture from memory, against a bare aiohttp handler.

The handler answers the same 25 KB from a variable, on uvloop and with its access log off; the server looks
for the picture, asks whether it may still be shown, writes headers and a log line. One process each, by wrk
over 16 kept connections.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path

from bench import load
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
    with imgproxy(root, 1) as server:
        answer = root / "answer"
        answer.write_bytes(get(f"{server.base}{TARGET}"))
        with bare_aiohttp(answer) as bare:
            sides = {
                "bare aiohttp /s": lambda: load.rate(f"{bare.base}/", seconds=seconds),
                "server /s": lambda: load.rate(f"{server.base}{TARGET}", seconds=seconds),
            }
            found = in_turn(f"hits, {name}", sides, rounds=run.rounds(_ROUNDS))
    values = {**medians(found), "ratio": ratio(found, "server /s", "bare aiohttp /s")}
    return Row(name, values, _AIMS.get(name, ()), found)


def get(url: str) -> bytes:
    """One answer's body."""
    with urllib.request.urlopen(url) as answer:  # noqa: S310  our own server
        return bytes(answer.read())
