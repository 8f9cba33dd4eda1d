"""Peers: pictures a second of what one would pick instead, on the same originals.

thumbor (PyPI) and IPX (npm) install themselves into `.bench`; other servers, such as imgproxy (Go) or imagor,
are named by `--peer NAME=URL` and must read the folder that `--help` tells. Same quality, a picture each,
caches off, as many processes as ours has workers; each has the machine for itself in its turn. Encoders'
effort is what each chooses: AVIF of ours is made with 0, of IPX with 4, which is most of the difference
there. A dash: it failed or does not make this type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from bench import installed, load
from bench.figure import Missing, Row, Run, in_turn, medians, say
from bench.load import Address
from bench.misses import SIZES
from bench.pictures import Wish, kept, many, unique
from bench.servers import address, imgproxy

_ROUNDS = 3
_SECONDS = 4.0
_QUALITY = {"jpeg": 80, "webp": 80, "avif": 63, "png": 100}
_SHORT = {"jpeg": "jpg", "webp": "webp", "avif": "avif", "png": "png"}


def _thumbor(wish: Wish) -> str:
    filters = f"filters:format({wish.type}):quality({_QUALITY[wish.type]})"
    return f"/unsafe/fit-in/{wish.width}x10000/{filters}/{wish.name}"


def _ipx(wish: Wish) -> str:
    quality = "" if wish.type == "png" else f",q_{_QUALITY[wish.type]}"  # sharp would take it for a palette
    return f"/w_{wish.width},f_{wish.type}{quality}/{wish.name}"


def _imgproxy_go(wish: Wish) -> str:
    wanted = f"rs:fit:{wish.width}:0/q:{_QUALITY[wish.type]}"
    return f"/insecure/{wanted}/plain/local:///{wish.name}@{_SHORT[wish.type]}"


ADDRESSES: dict[str, Address] = {
    "imagor": _thumbor,
    "imgproxy": _imgproxy_go,
    "ipx": _ipx,
    "thumbor": _thumbor,
}
"""How each writes a URL; `--peer` knows these names, with `-` and any word behind them."""

SELF_INSTALLED = {"thumbor": installed.thumbor, "ipx": installed.ipx}


def folder() -> Path:
    """Where a peer that somebody else starts has to find the source images."""
    return kept() / "peers"


def measure(run: Run) -> Iterator[Row]:
    """A row for each type and width."""
    root = _originals()
    with ExitStack() as stack:
        ours = stack.enter_context(imgproxy(root, run.workers))
        servers: dict[str, tuple[str, Address]] = {"ours": (ours.base, address)}
        for name, start in SELF_INSTALLED.items():
            try:
                servers[name] = (stack.enter_context(start(run, root)), ADDRESSES[name])
            except (Missing, RuntimeError) as error:
                say(f"{name} is left out: {error}")
        servers |= {name: (base, ADDRESSES[name.partition("-")[0]]) for name, base in run.peers.items()}
        for type_, width in SIZES:
            yield _row(run, servers, type_, width)


def _originals() -> Path:
    root = folder()
    root.mkdir(exist_ok=True)
    return many("medium.jpg", root)


def _row(run: Run, servers: dict[str, tuple[str, Address]], type_: str, width: int) -> Row:
    wishes = unique("medium.jpg", width, type_)

    def ask(base: str, where: Address, seconds: float) -> float:
        return load.pictures(base, where, wishes, connections=2 * run.workers, seconds=seconds).rate

    able: dict[str, Callable[[], float]] = {}
    for name, (base, where) in servers.items():
        try:
            ask(base, where, 0.3)
        except (load.WrongAnswer, OSError, EOFError) as error:
            say(f"{name} makes no {type_}: {str(error)[:300]}")
            continue
        able[name] = lambda base=base, where=where: ask(base, where, run.seconds(_SECONDS))  # type: ignore[misc]
    found = in_turn(f"peers, {type_} {width}", able, rounds=run.rounds(_ROUNDS))
    rates = {f"{name} /s": value for name, value in medians(found).items()}
    return Row(f"{type_.upper()} {width}", rates, rounds=found)
