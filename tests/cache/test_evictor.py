"""Evictor: the folder stays within its bounds, also while other processes write there."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from imgproxy.cache.evictor import ROUND, Evictor
from imgproxy.cache.layout import SHARDS, ResultFolder
from imgproxy.cache.lru_index import LruIndex
from tests.cache.results import SECOND, Clock, disk_with, entry, files, key

PLENTY = 1_000_000_000
BLOCK = 4096


class Kept:
    """An evictor with its folder and index, and clocks that a test sets."""

    def __init__(self, root: Path, *, size: int, count: int, free: int, available: Callable[[], int]) -> None:
        self.clock = Clock(time.time_ns())
        self.folder = ResultFolder(root, clock=self.clock, statvfs=disk_with(available))
        self.index = LruIndex()
        self.seconds = 0.0
        self.evictor = Evictor(
            self.folder, self.index, size=size, files=count, free=free, timer=lambda: self.seconds
        )

    def put(self, number: int, *sources: str, size: int = 100) -> bool:
        return self.evictor.write(key(number), entry(*sources, size=size), size=size, now=self.clock())

    def has(self, number: int) -> bool:
        return self.folder.read(key(number)) is not None


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


def test_write_keeps_bytes_below_the_bound(keep: Callable[..., Kept], tmp_path: Path) -> None:
    kept = keep(size=20 * BLOCK)
    for number in range(100):
        kept.put(number, f"{number % 7}")
        assert len(files(tmp_path)) <= 20
    assert [number for number in range(100) if kept.has(number)] == list(range(80, 100))
    assert kept.evictor.evictions == 80


def test_write_keeps_the_number_of_files_below_the_bound(keep: Callable[..., Kept], tmp_path: Path) -> None:
    kept = keep(count=10)
    for number in range(50):
        kept.put(number, "a", "mark")
    assert len(files(tmp_path)) == 10
    assert len(kept.index) == 10


def test_write_leaves_free_bytes(keep: Callable[..., Kept], tmp_path: Path) -> None:
    kept = keep(free=50 * BLOCK, available=lambda: (60 - len(files(tmp_path))) * BLOCK)
    for number in range(30):
        assert kept.put(number, "a")
    assert [number for number in range(30) if kept.has(number)] == list(range(20, 30))


def test_write_on_a_full_disk_stores_nothing(keep: Callable[..., Kept], tmp_path: Path) -> None:
    available = [PLENTY]
    kept = keep(free=PLENTY // 2, available=lambda: available[0])
    assert kept.put(1, "a")
    available[0] = 0
    assert not kept.put(2, "a")
    assert files(tmp_path) == []


def test_load_is_in_order_of_use(keep: Callable[..., Kept]) -> None:
    before = keep()
    for number in range(10):
        before.put(number, "a")
    before.clock.now += 100 * SECOND
    before.has(0)
    after = keep(count=4)
    after.evictor.load()
    assert (len(after.index), after.index.bytes) == (4, 4 * BLOCK)
    assert [number for number in range(10) if after.has(number)] == [0, 7, 8, 9]


def test_load_removes_discarded_results(keep: Callable[..., Kept], tmp_path: Path) -> None:
    kept = keep()
    kept.put(1, "a")
    (tmp_path / "results").rename(tmp_path / "trash")
    kept.evictor.load()
    assert (len(kept.index), files(tmp_path)) == (1, [])


def test_visit_finds_what_load_could_not_read(
    keep: Callable[..., Kept], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(shard: str) -> None:
        raise OSError(5, "Input/output error")

    keep().put(1, "a")
    kept = keep()
    monkeypatch.setattr(kept.folder, "shard", fail)
    kept.evictor.load()
    monkeypatch.undo()
    kept.seconds += ROUND
    kept.evictor.visit()
    assert len(kept.index) == 1


def test_visit_finds_all_changes_of_others_in_a_round(keep: Callable[..., Kept]) -> None:
    ours, theirs = keep(), keep()
    for number in range(20):
        ours.put(number, f"{number}")
        theirs.put(number + 100, f"{number}")
    theirs.folder.remove(key(103))
    ours.evictor.visit()
    assert len(ours.index) == 20
    for _ in range(100):
        ours.seconds += ROUND / 100
        ours.evictor.visit()
    assert len(ours.index) == 39


def test_visit_spreads_shards_over_a_round(
    keep: Callable[..., Kept], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = keep()
    visited: list[str] = []
    monkeypatch.setattr(kept.folder, "shard", lambda shard: visited.append(shard) or [])
    for step, expected in ((0.0, 0), (ROUND / 256, 1), (ROUND / 2, 129), (10 * ROUND, 385)):
        kept.seconds += step
        kept.evictor.visit()
        assert len(visited) == expected
    assert visited[:256] == list(SHARDS)


def test_visit_passes_a_shard_that_fails(keep: Callable[..., Kept], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(shard: str) -> list[None]:
        visited.append(shard)
        raise OSError(5, "Input/output error")

    kept = keep()
    visited: list[str] = []
    monkeypatch.setattr(kept.folder, "shard", fail)
    for _ in range(3):
        kept.seconds += ROUND / 256
        with pytest.raises(OSError, match="Input/output"):
            kept.evictor.visit()
    assert visited == ["00", "01", "02"]


def test_write_of_two_evictors_of_one_folder_keeps_the_bound(
    keep: Callable[..., Kept], tmp_path: Path
) -> None:
    both = [keep(size=20 * BLOCK), keep(size=20 * BLOCK)]
    for number in range(200):
        one = both[number % 2]
        assert one.put(number, "a")
        one.seconds += ROUND
        one.evictor.visit()
    assert len(files(tmp_path)) <= 21, "what the other wrote since the last round"


def test_visit_and_load_while_closing_do_nothing(
    keep: Callable[..., Kept], monkeypatch: pytest.MonkeyPatch
) -> None:
    keep().put(1, "a")
    kept = keep()
    kept.evictor.closing = True
    kept.evictor.load()
    kept.seconds += ROUND
    kept.evictor.visit()
    assert len(kept.index) == 0
