"""Thousands of random URLs over every type of image: each limit holds, for the sender and for its neighbour.

`SOAK_URLS` says how many, `SOAK_SEED` which; the one that breaks a limit is named.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from tests.attack.server import Attacked, attacked
from tests.attack.watchdog import LONGEST_SECONDS
from tests.attack.wire import Response, Wire
from tests.engine.readers.test_readers import FILES
from tests.engine.test_locked_in import ORIGINALS
from tests.pictures import encoded, gradient, noise
from tests.soak.conftest import Tell
from tests.soak.grammar import url
from tests.soak.server import _children

URLS = int(os.environ.get("SOAK_URLS", "10000"))
SEED = int(os.environ.get("SOAK_SEED", "11"))
CLIENTS = 4
EXPECTED = {200, 400, 404, 413, 415, 422, 503, 504}
NEIGHBOUR = "127.0.0.2"
SLACK_SECONDS = 3.0  # for a machine that does other things, and for transfers
SHARED_BYTES = 128 * 1024**2  # libraries and memory files, which no limit of the worker's own counts


@dataclass
class Found:
    """What was seen, by all threads."""

    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")
    neighbour: float = 0.0
    hit: float = 0.0
    memory: int = 0


def ask(port: int, target: str, *, address: str = "127.0.0.1") -> tuple[Response, float]:
    begun = time.monotonic()
    with Wire(port, address=address) as wire:
        wire.socket.settimeout(60)
        response = wire.request(target, Connection="close")
    return response, time.monotonic() - begun


def attack(server: Attacked, targets: list[str], found: Found) -> None:
    """Send every target, one after the other."""
    for target in targets:
        try:
            response, seconds = ask(server.port, target)
        except OSError as error:
            found.wrong.append(f"{target}: {error!r}")
            continue
        found.statuses[response.status] += 1
        if response.status not in EXPECTED:
            found.wrong.append(f"{target}: {response.status} {response.body[:200]!r}")
        found.slowest = max(found.slowest, (seconds, target))


def live_beside(server: Attacked, found: Found, stop: threading.Event) -> None:
    """Ask for an image that nobody has asked for, and for one that is cached, from another address."""
    width = 1
    while not stop.wait(0.5):
        width += 1
        response, seconds = ask(server.port, f"/{width}x30/neighbour.jpg", address=NEIGHBOUR)
        found.neighbour = max(found.neighbour, seconds)
        if response.status != 200:
            found.wrong.append(f"neighbour: {response.status} {response.body[:200]!r}")
        found.hit = max(found.hit, ask(server.port, "/30x30/neighbour.jpg", address=NEIGHBOUR)[1])


def weigh(found: Found, stop: threading.Event) -> None:
    """Read the peak of each worker from /proc."""
    while not stop.wait(0.1):
        with suppress(OSError):  # a thread or a worker that ends meanwhile
            for pid in _children(os.getpid()):
                lines = Path(f"/proc/{pid}/status").read_text().splitlines()
                peaks = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")]
                found.memory = max([found.memory, *peaks])


@pytest.mark.soak
def test_limits_hold_for_random_urls(tmp_path: Path, tell: Tell) -> None:
    draw, found, stop = Random(SEED), Found(), threading.Event()  # noqa: S311  the same every time
    drawn = {name.replace(" ", "-"): body for name, body in {**ORIGINALS, **FILES}.items()}
    images = {**drawn, "large.jpg": encoded(noise(4000, 3000), ".jpg")}
    images |= {"large.png": encoded(gradient(3000, 3000)), "damaged.jpg": ORIGINALS["jpeg"][:-200]}
    with attacked(tmp_path, unregistered="public", workers=2) as server:
        for name, body in images.items():
            server.store(name, body)
        server.store("neighbour.jpg", encoded(noise(300, 200), ".jpg"))
        assert ask(server.port, "/30x30/neighbour.jpg")[0].status == 200
        targets = [url(draw, list(images)) for _ in range(URLS)]
        server.watchdog.reset()
        with ThreadPoolExecutor(CLIENTS + 2) as threads:
            beside = [threads.submit(live_beside, server, found, stop), threads.submit(weigh, found, stop)]
            attacks = [threads.submit(attack, server, targets[n::CLIENTS], found) for n in range(CLIENTS)]
            for each in attacks:
                each.result()
            stop.set()
            for each in beside:
                each.result()
        tell(f"{URLS} URLs of seed {SEED}: {dict(found.statuses)}; slowest {found.slowest}")
        tell(f"neighbour {found.neighbour:.2f} s, hit {found.hit:.2f} s, worker {found.memory >> 20} MiB")
        tell(f"loop {server.watchdog.longest * 1000:.0f} ms; {len(found.wrong)} wrong: {found.wrong[:5]}")
        settings = server.settings
    assert found.wrong == []
    assert server.watchdog.longest < LONGEST_SECONDS, server.watchdog.where
    assert found.memory <= settings.worker_memory + SHARED_BYTES
    # costs are CPU time, which takes longer where other processes run: the deadline counts time itself
    assert found.slowest[0] <= settings.deadline + SLACK_SECONDS
    assert found.neighbour <= settings.deadline + SLACK_SECONDS
    assert found.hit <= SLACK_SECONDS
