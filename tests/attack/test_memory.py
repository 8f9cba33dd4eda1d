"""What clients write is kept within bounds, however often they write something else."""

from __future__ import annotations

from pathlib import Path

from tests.attack.server import Attacked

_PAGE = 4096
_MIB = 1024**2


def test_long_targets_and_accept_headers_are_not_kept(edge: Attacked) -> None:
    with edge.connect() as wire:

        def send(first: int, last: int) -> None:
            for number in range(first, last):
                target = f"/{'0' * (7_000 + number // 40)}20x{'0' * (number % 40)}20/small.jpg"
                assert wire.request(target, Accept=f"{'x' * 7_900}{number}").status == 200

        send(0, 200)
        before = _resident()
        send(200, 1_200)
        assert _resident() - before < 8 * _MIB  # 30 MiB if they are


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE
