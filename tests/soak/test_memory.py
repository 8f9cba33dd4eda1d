"""No process grows, in memory or in descriptors, however many pictures are made."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from tests import pictures
from tests.soak.conftest import Tell
from tests.soak.load import Reply, drive
from tests.soak.server import Server, Weight

_OBJECTS = 20
_READ = (
    8_192  # targets whose reading the edge remembers; that memory shall be full before anything is weighed
)
_MISSES = (5_000, 10_000, 15_000, 20_000)
_SETTINGS = {"IMGPROXY_CACHE_BYTES": "8MiB", "IMGPROXY_MEMORY_BYTES": "4MiB"}


def _told(weights: dict[str, Weight]) -> str:
    return ", ".join(f"{name}: {each.rss:,} KiB {each.descriptors} fd" for name, each in weights.items())


def _ignore(target: str, reply: Reply) -> None:
    """What was read is of no interest."""


@pytest.mark.soak
async def test_twenty_thousand_misses_leave_every_process_as_it_was(tmp_path: Path, tell: Tell) -> None:
    server = Server(tmp_path, **_SETTINGS)
    for number in range(_OBJECTS):
        (server.objects / f"{number}.png").write_bytes(pictures.encoded(pictures.noise(64, 48)))
    targets = (
        f"/{width}x{height}/{number}.png"
        for width in range(1, 41)
        for height in range(1, 41)
        for number in range(_OBJECTS)
    )
    failed: list[str] = []

    def hear(target: str, reply: Reply) -> None:
        if reply.status != 200 or "fwd=miss" not in reply.cache:
            failed.append(f"{target}: {reply.status} {reply.cache}")

    seen: list[dict[str, Weight]] = []
    try:
        server.start()
        await drive(server.client.port, (f"/params/{number}x1/0.png" for number in range(_READ)), _ignore)
        made = 0
        for goal in _MISSES:
            await drive(server.client.port, islice(targets, goal - made), hear, connections=8)
            made = goal
            seen.append(server.weights())
            tell(f"{made:,} misses; {_told(seen[-1])}")
    finally:
        server.kill()
    first, last = seen[0], seen[-1]
    assert failed == []
    assert len(last) == len(first)
    for name in first.keys() & last.keys():
        assert abs(last[name].rss / first[name].rss - 1) <= 0.05, name
        assert last[name].descriptors <= first[name].descriptors, name
