"""A folder stays within its bounds, whoever else writes there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from imgproxy.cache.folder import SHARDS, Folder, name_of
from imgproxy.cache.keeper import ROUND, Keeper
from imgproxy.cache.ledger import Ledger
from tests.cache.results import SECOND, Clock, disk_with, entry, files, key

PLENTY = 1_000_000_000
BLOCK = 4096


class Kept:
    """A keeper with its folder and its account, and hands on its clocks."""

    def __init__(self, root: Path, *, size: int, count: int, free: int, available: Callable[[], int]) -> None:
        self.clock = Clock(time.time_ns())
        self.folder = Folder(root, clock=self.clock, statvfs=disk_with(available))
        self.ledger = Ledger()
        self.seconds = 0.0
        self.keeper = Keeper(
            self.folder, self.ledger, size=size, files=count, free=free, timer=lambda: self.seconds
        )

    def put(self, number: int, *sources: str, size: int = 100) -> bool:
        begun = self.clock()
        return self.keeper.write(key(number), entry(*sources, size=size), size=size, begun=begun)

    def has(self, number: int, source: str) -> bool:
        return self.folder.read(key(number), source) is not None


@pytest.fixture
def keep(tmp_path: Path) -> Callable[..., Kept]:
    def make(
        *,
        size: int = PLENTY,
        count: int = PLENTY,
        free: int = 0,
        available: Callable[[], int] = lambda: PLENTY,
    ) -> Kept:
        return Kept(tmp_path, size=size, count=count, free=free, available=available)

    return make


def test_bytes_stay_below_the_bound(keep: Callable[..., Kept], tmp_path: Path) -> None:
    kept = keep(size=20 * BLOCK)
    for number in range(100):
        kept.put(number, f"{number % 7}")
        assert len(files(tmp_path)) <= 20
    assert [number for number in range(100) if kept.has(number, f"{number % 7}")] == list(range(80, 100))
    assert kept.keeper.evictions == 80


def test_the_number_of_files_stays_below_the_bound(keep: Callable[..., Kept], tmp_path: Path) -> None:
    kept = keep(count=10)
    for number in range(50):
        kept.put(number, "a", "mark")
    assert len(files(tmp_path)) == 20, "each once more as a layer"
    assert kept.ledger.files == 10


def test_what_must_stay_free_stays_free(keep: Callable[..., Kept], tmp_path: Path) -> None:
    kept = keep(free=50 * BLOCK, available=lambda: (60 - len(files(tmp_path))) * BLOCK)
    for number in range(30):
        assert kept.put(number, "a")
    assert [number for number in range(30) if kept.has(number, "a")] == list(range(20, 30))


def test_nothing_is_written_when_others_have_filled_the_disk(
    keep: Callable[..., Kept], tmp_path: Path
) -> None:
    available = [PLENTY]
    kept = keep(free=PLENTY // 2, available=lambda: available[0])
    assert kept.put(1, "a")
    available[0] = 0
    assert not kept.put(2, "a")
    assert files(tmp_path) == []


def test_stock_is_taken_in_order_of_use(keep: Callable[..., Kept]) -> None:
    before = keep()
    for number in range(10):
        before.put(number, "a")
    before.clock.now += 100 * SECOND
    before.has(0, "a")
    after = keep(count=4)
    after.keeper.load()
    assert (after.ledger.files, after.ledger.bytes) == (4, 4 * BLOCK)
    assert [number for number in range(10) if after.has(number, "a")] == [0, 7, 8, 9]


def test_taking_stock_cleans_up_after_a_crash(keep: Callable[..., Kept], tmp_path: Path) -> None:
    before = keep()
    before.put(1, "a", "mark")
    before.folder.drop("mark")
    (tmp_path / "temp/left").write_bytes(b"half")
    os.utime(tmp_path / "temp/left", (0, 0))
    kept = keep()
    kept.keeper.load()
    assert kept.ledger.files == 0
    assert [path.parent.name for path in files(tmp_path)] == ["drops"]


def test_what_cannot_be_read_at_first_is_seen_later(
    keep: Callable[..., Kept], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(shard: str) -> None:
        raise OSError(5, "Input/output error")

    keep().put(1, "a")
    kept = keep()
    monkeypatch.setattr(kept.folder, "shard", fail)
    kept.keeper.load()
    monkeypatch.undo()
    kept.seconds += ROUND
    kept.keeper.visit()
    assert kept.ledger.files == 1


def test_a_round_sees_all_that_others_did(keep: Callable[..., Kept]) -> None:
    ours, theirs = keep(), keep()
    for number in range(20):
        ours.put(number, f"{number}")
        theirs.put(number + 100, f"{number}")
    theirs.folder.remove(name_of(key(3), "3"))
    ours.keeper.visit()
    assert ours.ledger.files == 20
    for _ in range(100):
        ours.seconds += ROUND / 100
        ours.keeper.visit()
    assert ours.ledger.files == 39


def test_visits_are_spread_over_a_round(keep: Callable[..., Kept], monkeypatch: pytest.MonkeyPatch) -> None:
    kept = keep()
    visited: list[str] = []
    monkeypatch.setattr(kept.folder, "shard", lambda shard: visited.append(shard) or [])
    for step, expected in ((0.0, 0), (ROUND / 256, 1), (ROUND / 2, 129), (10 * ROUND, 385)):
        kept.seconds += step
        kept.keeper.visit()
        assert len(visited) == expected
    assert visited[:256] == list(SHARDS)


def test_a_part_that_fails_does_not_keep_the_others_from_being_visited(
    keep: Callable[..., Kept], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(shard: str) -> list[None]:
        visited.append(shard)
        raise OSError(5, "Input/output error")

    kept = keep()
    visited: list[str] = []
    monkeypatch.setattr(kept.folder, "shard", fail)
    for _ in range(3):
        kept.seconds += ROUND / 256
        with pytest.raises(OSError, match="Input/output"):
            kept.keeper.visit()
    assert visited == ["00", "01", "02"]


def test_two_keepers_share_a_folder(keep: Callable[..., Kept], tmp_path: Path) -> None:
    both = [keep(size=20 * BLOCK), keep(size=20 * BLOCK)]
    for number in range(200):
        one = both[number % 2]
        assert one.put(number, "a")
        one.seconds += ROUND
        one.keeper.visit()
    assert len(files(tmp_path)) <= 21, "what the other wrote since the last round"


def test_what_was_cleared_is_not_counted(keep: Callable[..., Kept]) -> None:
    kept = keep()
    kept.put(1, "a", "mark")
    kept.put(2, "b")
    trash = kept.folder.drop("mark")
    assert trash is not None
    kept.keeper.clear(trash)
    assert kept.ledger.files == 1


def test_a_keeper_that_is_leaving_does_not_look_around(
    keep: Callable[..., Kept], monkeypatch: pytest.MonkeyPatch
) -> None:
    keep().put(1, "a")
    kept = keep()
    kept.keeper.leaving = True
    kept.keeper.load()
    kept.seconds += ROUND
    kept.keeper.visit()
    assert kept.ledger.files == 0
