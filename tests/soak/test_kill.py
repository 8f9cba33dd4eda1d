"""Whenever the server is killed, what it serves afterwards is what a fresh one would make."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests import pictures
from tests.soak.conftest import Tell
from tests.soak.load import Reply, drive
from tests.soak.server import Server, real_bytes

_CAP = 2 * 1024**2
_OBJECTS = 12
_TARGETS = [
    f"/{width}x{width * 2 // 3}/filters:format({suffix})/{number}.png"
    for number in range(_OBJECTS)
    for width in range(40, 200, 16)
    for suffix in ("jpeg", "png", "webp")
]
_SMALL = {"IMGPROXY_CACHE_BYTES": str(_CAP), "IMGPROXY_MEMORY_BYTES": "200KiB"}
_OLD = 3600  # seconds; of what a dead process left behind, more than ten minutes are enough


class Comparison:
    """Every answer, held against what a server without caches makes."""

    def __init__(self, reference: dict[str, bytes]) -> None:
        self._reference = reference
        self.wrong: list[str] = []
        self.caches: Counter[str] = Counter()
        self._left = 0
        self._enough = asyncio.Event()

    async def wait_for(self, answers: int) -> None:
        """Return when so many more have been heard."""
        self._left = answers
        self._enough.clear()
        await self._enough.wait()

    def __call__(self, target: str, reply: Reply) -> None:
        self.caches[reply.cache] += 1
        self._left -= 1
        if self._left <= 0:
            self._enough.set()
        if reply.status != 200 or reply.body != self._reference[target]:
            self.wrong.append(f"{target}: {reply.status} {reply.cache}, {len(reply.body)} bytes")


def draw(folder: Path) -> None:
    """Originals that no encoder makes so small that nothing is ever evicted."""
    for number in range(_OBJECTS):
        (folder / f"{number}.png").write_bytes(pictures.encoded(pictures.noise(200 + number, 150)))


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a server that keeps nothing makes of every target."""
    folder = tmp_path_factory.mktemp("reference")
    server = Server(folder, IMGPROXY_CACHE_BYTES="0", IMGPROXY_MEMORY_BYTES="0")
    draw(server.objects)
    bodies: dict[str, bytes] = {}
    try:
        server.start()
        asyncio.run(
            drive(server.client.port, iter(_TARGETS), lambda at, reply: bodies.update({at: reply.body}))
        )
    finally:
        server.kill()
    return bodies


def _endless(lots: random.Random) -> Iterator[str]:
    while True:
        yield lots.choice(_TARGETS)


async def _until_killed(server: Server, lots: random.Random, compare: Comparison) -> None:
    load = asyncio.create_task(drive(server.client.port, _endless(lots), compare))
    await compare.wait_for(lots.randint(5, 200))
    await asyncio.sleep(lots.uniform(0, 0.02))
    os.kill(lots.choice(server.edges()), signal.SIGKILL)
    await asyncio.sleep(0.05)
    load.cancel()
    with suppress(asyncio.CancelledError):
        await load


def _age(folder: Path) -> None:
    then = time.time() - _OLD
    for path in folder.iterdir():
        os.utime(path, (then, then))


@pytest.mark.soak
@pytest.mark.parametrize("edges", [1, 2])
async def test_what_is_served_after_a_kill_is_what_a_fresh_server_makes(
    tmp_path: Path, reference: dict[str, bytes], tell: Tell, edges: int
) -> None:
    kills, lots, compare = 50, random.Random(edges), Comparison(reference)  # noqa: S311 - which moment is no secret
    server = Server(tmp_path, edges=edges, **_SMALL)
    draw(server.objects)
    left = []
    try:
        server.start()
        for number in range(kills):
            await _until_killed(server, lots, compare)
            assert compare.wrong == []
            left.append(len(list((server.cache / "temp").iterdir())))
            if edges == 1:
                server.kill()
                server.start()
            if number % 10 == 9:
                answers = compare.caches.total()
                tell(f"{number + 1} kills, {answers} answers compared, {left[-1]} files left in temp")
        _age(server.cache / "temp")
        server.stop()
        server.start()
        await asyncio.to_thread(_until_clean, server.cache / "temp")
        server.stop()
    finally:
        server.kill()
    tell(f"{dict(compare.caches)}; {real_bytes(server.cache):,} bytes on disk")
    assert compare.caches["imgproxy; hit; detail=disk"] > kills
    assert max(left) <= kills
    assert real_bytes(server.cache) <= _CAP


def _until_clean(folder: Path) -> None:
    end = time.monotonic() + 60
    while list(folder.iterdir()):
        assert time.monotonic() < end, list(folder.iterdir())
        time.sleep(0.05)
