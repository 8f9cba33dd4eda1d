"""Originals: pictures a second of a whole server for each original of the set, against a bare libvips loop.

Each original of 0.3, 6 and 24 MP to 400 px WebP; as for misses, but for fewer rounds. `film.gif` is an
animation of 12 frames, and stays one. The set is drawn by formula (`bench/pictures.py`).
"""

from __future__ import annotations

from collections.abc import Iterator

from bench import load, loop
from bench.figure import Row, Run, in_turn, medians, ratio
from bench.pictures import SET, Drawing, many, unique
from bench.servers import address, imgproxy

_WIDTH = 400
_ROUNDS = 3
_SECONDS = 2.0


def measure(run: Run) -> Iterator[Row]:
    """A row for each original."""
    loop.prepare()
    root = run.folder("originals")
    for drawing in SET:
        many(drawing.name, root)
    with imgproxy(root, run.workers, settings={"IMGPROXY_MAX_SOURCE_BYTES": "256MiB"}) as server:
        for drawing in SET:
            yield _row(run, server.base, drawing)


def _row(run: Run, base: str, drawing: Drawing) -> Row:
    seconds = run.seconds(_SECONDS)
    wishes = unique(drawing.name, _WIDTH, "webp")
    root = run.scratch / "originals"
    sides = {
        "loop": lambda: loop.run(root, wishes, threads=run.workers, seconds=seconds).rate,
        "server": lambda: (
            load.pictures(
                base, address, wishes, connections=2 * run.workers, seconds=seconds, fresh=b"fwd=miss"
            ).rate
        ),
    }
    found = in_turn(f"originals, {drawing.name}", sides, rounds=run.rounds(_ROUNDS))
    rates = {f"{name} /s": value for name, value in medians(found).items()}
    name = f"{drawing.name}, {drawing.pixels / 1e6:g} MP"
    return Row(name, {**rates, "ratio": ratio(found, "server", "loop")}, rounds=found)
