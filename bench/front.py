"""Front: answers a second through our nginx.conf, against nginx serving the same bytes as a file.

Both nginx have a worker a core, sendfile and a buffered access log; the one keeps the picture in its cache,
with the edge behind it, which is not asked. By wrk over 16 kept connections.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench import load
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
        found = _rounds(run, base, other.base)
        assert "hit" in ours.get(TARGET).cache
    values = {**medians(found), "ratio": ratio(found, "nginx.conf /s", "static file /s")}
    yield Row("25 KB", values, (_AIM,), found)


def _rounds(run: Run, ours: str, static: str) -> dict[str, list[float]]:
    seconds = run.seconds(_SECONDS)
    sides = {
        "static file /s": lambda: load.rate(f"{static}/picture.png", seconds=seconds),
        "nginx.conf /s": lambda: load.rate(f"{ours}{TARGET}", seconds=seconds),
    }
    return in_turn("front", sides, rounds=run.rounds(_ROUNDS))
