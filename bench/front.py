"""Front: answers a second through our nginx.conf, against nginx serving the same bytes as a file.

Both nginx have a worker a core, sendfile and a buffered access log; the one keeps the picture in its cache,
with the edge behind it, which is not asked. By wrk over 16 kept connections.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from bench import load, processor
from bench.figure import Aim, Missing, Row, Run, in_turn, medians, ratio
from bench.hits import TARGET, get
from bench.pictures import noise
from bench.servers import imgproxy, nginx_binary, static_nginx

_SIDE = 92  # 25 KB
_ROUNDS = 7
_SECONDS = 3.0
_AIM = Aim("ratio", "≥", 0.8)


def measure(run: Run) -> Iterator[Row]:
    """One row."""
    nginx_binary()
    try:
        from tests import web  # it needs pytest, which only `make bench` is sure to have
    except ImportError as error:
        raise Missing(f"{error.name} is not installed: `make bench` does that") from None
    root, front, static = (run.folder(name) for name in ("front objects", "front", "static"))
    (root / "picture.png").write_bytes(noise(_SIDE))
    with imgproxy(root, 1) as server, web.nginx(front, server.port) as ours, static_nginx(static) as other:
        base = f"http://127.0.0.1:{ours.port}"
        (static / "picture.png").write_bytes(get(f"{server.base}{TARGET}"))
        pids = {"static file": other.process.pid, "nginx.conf": int((front / "pid").read_text())}
        found, spent = _rounds(
            run, {"static file": f"{other.base}/picture.png", "nginx.conf": base + TARGET}, pids
        )
        assert "hit" in ours.get(TARGET).cache
    values = {f"{name} /s": value for name, value in medians(found).items()}
    values["ratio"] = ratio(found, "nginx.conf", "static file")
    values |= {f"CPU ms, {name}": value for name, value in medians(spent).items()}
    yield Row("25 KB", values, (_AIM,), found)


def _rounds(
    run: Run, urls: Mapping[str, str], pids: Mapping[str, int]
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Answers a second of each side, and milliseconds of the processor for each answer."""
    spent: dict[str, list[float]] = {}
    sides = {
        name: partial(
            processor.rate,
            partial(load.wrk, url, seconds=run.seconds(_SECONDS)),
            {name: partial(processor.descendants, pids[name])},
            spent,
        )
        for name, url in urls.items()
    }
    return in_turn("front", sides, rounds=run.rounds(_ROUNDS)), spent
