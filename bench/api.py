"""API: uploads asked for and records read a second, by one process, beside a bare aiohttp handler.

Each `presign` writes a row before it signs; each `get` of `GET /v1/files/{id}` looks up the key and reads the
row. The handler answers as many bytes as the record from a variable. By wrk over 16 kept connections, with
nothing else to do; a key's rate is not limited. First with a record in SQLite, then in
a PostgreSQL beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from bench import load, processor
from bench.caller import WISH, make_key, register
from bench.figure import Aim, Row, Run, in_turn, medians, ratio
from bench.pictures import noise
from bench.servers import Running, bare_aiohttp, imgproxy

_ROUNDS = 5
_SECONDS = 3.0
_AIMS = {"presign": 1_000, "get": 2_000}


def measure(run: Run) -> Iterator[Row]:
    """A row for each of the two, on either engine."""
    from tests.postgres import server

    root = run.folder("api")
    yield from _rows(run, "SQLite", root / "sqlite", f"sqlite:///{root}/record.db")
    with server() as postgres, postgres.database() as name:
        yield from _rows(run, "PostgreSQL", root / "postgresql", postgres.url(name))


def _rows(run: Run, engine: str, root: Path, database: str) -> Iterator[Row]:
    root.mkdir()
    settings = {"IMGPROXY_DATABASE": database, "IMGPROXY_API_RATE": "0", "IMGPROXY_UNREGISTERED": "deny"}
    key = make_key(settings)
    with imgproxy(root, 1, settings=settings) as server:
        record = register(server.base, key, noise(26))
        answer = root / "answer"
        answer.write_bytes(json.dumps(record).encode())
        asked = {"presign": ("POST", "presigned-url", WISH), "get": ("GET", record["id"], None)}
        with bare_aiohttp(answer) as bare:
            for name, (method, last, given) in asked.items():
                script = _script(root, method, key, given)
                yield _row(run, f"{engine}: {name}", _AIMS[name], server, f"/v1/files/{last}", script, bare)


def _row(run: Run, name: str, aim: float, server: Running, path: str, script: Path, bare: Running) -> Row:
    seconds = run.seconds(_SECONDS)
    spent: dict[str, list[float]] = {}
    ours = partial(load.wrk, f"{server.base}{path}", seconds=seconds, script=script)
    theirs = partial(load.wrk, f"{bare.base}/", seconds=seconds)
    sides = {
        "bare aiohttp": partial(processor.rate, theirs, {"bare aiohttp": bare.edges}, spent),
        "server": partial(processor.rate, ours, {"server": server.edges}, spent),
    }
    found = in_turn(f"api, {name}", sides, rounds=run.rounds(_ROUNDS))
    values = {f"{side} /s": value for side, value in medians(found).items()}
    values["ratio"] = ratio(found, "server", "bare aiohttp")
    values |= {f"CPU ms, {side}": value for side, value in medians(spent).items()}
    return Row(name, values, (Aim("server /s", "≥", aim),), found)


def _script(root: Path, method: str, key: str, given: Mapping[str, str] | None = None) -> Path:
    """What wrk shall ask."""
    lines = [f'wrk.method = "{method}"', f'wrk.headers["X-API-Key"] = "{key}"']
    if given is not None:
        lines += [f"wrk.body = [[{json.dumps(given)}]]", 'wrk.headers["Content-Type"] = "application/json"']
    path = root / f"{method}.lua"
    path.write_text("\n".join(lines))
    return path
