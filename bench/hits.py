"""Hits: answers a second of one picture from memory, against a bare aiohttp handler.

The handler answers the same 25 KB from a variable, on uvloop and with its access log off; the server looks
for the picture, asks whether it may still be shown, writes headers and a log line. One process each, by wrk
over 16 kept connections. The last row is what it costs that a picture has a record: whether it is public,
and in which generation, is asked each time, where an object without one is believed for a minute. One server
answers both.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench import load, processor
from bench.caller import make_key, register
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
    yield _access(run)


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


def _access(run: Run) -> Row:
    """One picture by a key that has a record, and by one that has none."""
    root, seconds = run.folder("hits by a record"), run.seconds(_SECONDS)
    objects, body = root / "objects", noise(_SIDES["25 KB"])
    objects.mkdir()
    (objects / "picture.png").write_bytes(body)
    settings = {"IMGPROXY_DATABASE": f"sqlite:///{root}/record.db"}
    key = make_key(settings)
    spent: dict[str, list[float]] = {}
    with imgproxy(objects, 1, settings=settings) as server:
        known = f"/filters:format(png)/{register(server.base, key, body)['key']}"
        sides = {}
        for name, target in {"without a record": TARGET, "with a record": known}.items():
            ask = partial(load.wrk, f"{server.base}{target}", seconds=seconds)
            sides[name] = partial(processor.rate, ask, {name: server.edges}, spent)
            get(f"{server.base}{target}")
        found = in_turn("hits, 25 KB of a record", sides, rounds=run.rounds(_ROUNDS))
    values = {f"{name} /s": value for name, value in medians(found).items()}
    values["ratio"] = ratio(found, "with a record", "without a record")
    values |= {f"CPU ms, {name}": value for name, value in medians(spent).items()}
    return Row("25 KB of a record", values, (Aim("ratio", "≥", 0.95),), found)


def get(url: str) -> bytes:
    """One answer's body."""
    with urllib.request.urlopen(url) as answer:  # noqa: S310  our own server
        return bytes(answer.read())
