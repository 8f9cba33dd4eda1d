"""Result files: each is whole or absent, and a broken one is removed."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from imgproxy.cache.layout import SHARDS, ResultFolder
from tests.cache.results import SECOND, Clock, entry, files, key, left_open


@pytest.fixture
def clock() -> Clock:
    return Clock(time.time_ns())


@pytest.fixture
def folder(tmp_path: Path, clock: Clock) -> ResultFolder:
    return ResultFolder(tmp_path, clock=clock)


def place(root: Path, number: int) -> Path:
    return root / "results" / key(number)[:2] / key(number)


def seen(folder: ResultFolder) -> list[str]:
    return [each.name for shard in SHARDS for each in folder.shard(shard)]


@pytest.mark.parametrize("sources", [(), ("a",), ("a", "b", "b"), ("\udcff",)])
def test_read_returns_what_was_written(
    folder: ResultFolder, tmp_path: Path, sources: tuple[str, ...]
) -> None:
    assert folder.write(key(1), entry(*sources)) == place(tmp_path, 1).stat().st_size
    assert files(tmp_path) == [place(tmp_path, 1)]
    assert folder.read(key(1)) == entry(*sources)
    assert folder.read(key(2)) is None


def test_write_of_the_same_key_replaces(folder: ResultFolder, tmp_path: Path) -> None:
    folder.write(key(1), entry("a"))
    folder.write(key(1), entry("a", fill=b"y"))
    assert folder.read(key(1)) == entry("a", fill=b"y")
    assert len(files(tmp_path)) == 1


DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut short": lambda path: os.truncate(path, path.stat().st_size - 1),
    "cut in the header": lambda path: os.truncate(path, 30),
    "empty": lambda path: os.truncate(path, 0),
    "grown": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "flipped": lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\0"),
    "marked otherwise": lambda path: path.write_bytes(b"?" + path.read_bytes()[1:]),
    "zeros": lambda path: path.write_bytes(b"\0" * path.stat().st_size),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_read_of_a_damaged_file_is_a_miss_and_removes_it(
    folder: ResultFolder, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    folder.write(key(1), entry("a"))
    damage(place(tmp_path, 1))
    assert folder.read(key(1)) is None
    assert seen(folder) == files(tmp_path) == []


def test_read_of_two_files_that_were_swapped_is_a_miss(folder: ResultFolder, tmp_path: Path) -> None:
    for number in (1, 2):
        folder.write(key(number), entry("a"))
    place(tmp_path, 1).rename(tmp_path / "aside")
    place(tmp_path, 2).rename(place(tmp_path, 1))
    (tmp_path / "aside").rename(place(tmp_path, 2))
    assert [folder.read(key(number)) for number in (1, 2)] == [None, None]
    assert files(tmp_path) == []


def test_write_that_fails_leaves_nothing(
    folder: ResultFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="No space"):
        folder.write(key(1), entry("a"))
    assert files(tmp_path) == []


def test_remove_of_a_result_that_is_gone_is_no_error(folder: ResultFolder, tmp_path: Path) -> None:
    folder.write(key(1), entry("a"))
    for _ in range(2):
        folder.remove(key(1))
    assert files(tmp_path) == []


def test_read_records_a_use_once_a_minute(folder: ResultFolder, tmp_path: Path, clock: Clock) -> None:
    folder.write(key(1), entry("a"))
    written = place(tmp_path, 1).stat().st_mtime_ns
    folder.read(key(1))
    assert place(tmp_path, 1).stat().st_mtime_ns == written
    clock.now += 61 * SECOND
    folder.read(key(1))
    assert place(tmp_path, 1).stat().st_mtime_ns > written


def test_shard_removes_the_unfinished_file_of_a_dead_process_after_ten_minutes(
    folder: ResultFolder, tmp_path: Path, clock: Clock
) -> None:
    folder.write(key(1), entry("a"))
    place(tmp_path, 1).with_suffix(".unfinished").touch()
    assert seen(folder) == [key(1)]
    assert len(files(tmp_path)) == 2, "its process may still be writing"
    clock.now += 601 * SECOND
    assert seen(folder) == [key(1)]
    assert files(tmp_path) == [place(tmp_path, 1)]


def test_shard_that_is_missing_or_no_folder_is_empty(folder: ResultFolder, tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    assert seen(folder) == []


def test_no_descriptor_stays_open(folder: ResultFolder, tmp_path: Path) -> None:
    before = left_open()
    for number in (1, 2):
        folder.write(key(number), entry("a"))
    folder.read(key(1))
    os.truncate(place(tmp_path, 2), 40)
    folder.read(key(2))
    assert left_open() == before
