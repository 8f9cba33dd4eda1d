"""Files of results: what is read is what was written for that key, and no drop leaves anything behind."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from imgproxy.cache import file
from imgproxy.cache.folder import SHARDS, Folder, home_of, name_of
from tests.cache.results import SECOND, Clock, entry, files, key, left_open


@pytest.fixture
def clock() -> Clock:
    return Clock(time.time_ns())


@pytest.fixture
def folder(tmp_path: Path, clock: Clock) -> Folder:
    folder = Folder(tmp_path, clock=clock)
    folder.prepare()
    return folder


def put(folder: Folder, number: int, *sources: str) -> int | None:
    return folder.write(key(number), entry(*sources), begun=folder._clock())


def place(root: Path, number: int, source: str) -> Path:
    """Where a result lies."""
    return root / "v1" / home_of(source)[:2] / name_of(key(number), source)


def cleared(folder: Folder, trash: Path | None) -> list[str]:
    assert trash is not None
    return list(folder.clear(trash))


def seen(folder: Folder) -> list[str]:
    return [each.name for shard in SHARDS for each in folder.shard(shard)]


def test_a_result_lies_in_the_home_of_its_source(folder: Folder, tmp_path: Path) -> None:
    assert put(folder, 1, "a") == place(tmp_path, 1, "a").stat().st_size
    assert files(tmp_path) == [place(tmp_path, 1, "a")]
    assert folder.read(key(1), "a") == entry("a")


@pytest.mark.parametrize("sources", [(), ("a",), ("a", "b"), ("a", "b", "b", "c"), ("a", "a"), ("\udcff",)])
def test_what_was_written_is_read(folder: Folder, sources: tuple[str, ...]) -> None:
    put(folder, 1, *sources)
    assert folder.read(key(1), sources[0] if sources else "") == entry(*sources)


def test_a_layer_takes_no_space(folder: Folder, tmp_path: Path) -> None:
    put(folder, 1, "a", "mark")
    first, second = files(tmp_path)
    assert first.samefile(second)
    assert seen(folder) == [name_of(key(1), "a")]


def test_writing_again_replaces(folder: Folder, tmp_path: Path) -> None:
    put(folder, 1, "a", "mark")
    folder.write(key(1), entry("a", "mark", fill=b"y"), begun=folder._clock())
    assert folder.read(key(1), "a") == entry("a", "mark", fill=b"y")
    assert len(files(tmp_path)) == 2


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
@pytest.mark.parametrize("sources", [("a",), ("a", "mark")])
def test_a_damaged_file_is_a_miss_and_is_removed(
    folder: Folder, tmp_path: Path, damage: Callable[[Path], object], sources: tuple[str, ...]
) -> None:
    put(folder, 1, *sources)
    damage(place(tmp_path, 1, "a"))
    assert folder.read(key(1), "a") is None
    assert seen(folder) == []
    assert files(tmp_path) == []


def test_two_files_that_were_swapped_are_misses(folder: Folder, tmp_path: Path) -> None:
    put(folder, 1, "a")
    put(folder, 2, "a")
    one, two = place(tmp_path, 1, "a"), place(tmp_path, 2, "a")
    one.rename(tmp_path / "aside")
    two.rename(one)
    (tmp_path / "aside").rename(two)
    assert [folder.read(key(number), "a") for number in (1, 2)] == [None, None]
    assert files(tmp_path) == []


def test_a_file_carried_to_another_home_is_a_miss(folder: Folder, tmp_path: Path) -> None:
    put(folder, 1, "a")
    put(folder, 2, "b")
    place(tmp_path, 1, "a").rename(place(tmp_path, 1, "b"))
    assert folder.read(key(1), "b") is None


def test_a_drop_takes_everything_of_a_source_at_once(folder: Folder, tmp_path: Path) -> None:
    for number in range(3):
        put(folder, number, "a")
    put(folder, 3, "b")
    trash = folder.drop("a")
    assert [folder.read(key(number), "a") for number in range(3)] == [None] * 3
    assert folder.read(key(3), "b") == entry("b")
    assert sorted(cleared(folder, trash)) == [name_of(key(number), "a") for number in range(3)]
    assert files(tmp_path, "v1") == [place(tmp_path, 3, "b")]


@pytest.mark.parametrize("source", ["a", "mark", "star"])
def test_a_drop_of_any_source_is_felt_before_anything_is_cleared(
    folder: Folder, tmp_path: Path, source: str
) -> None:
    put(folder, 1, "a", "mark", "star")
    trash = folder.drop(source)
    assert folder.read(key(1), "a") is None
    assert cleared(folder, trash) == [name_of(key(1), "a")]
    assert files(tmp_path, "v1") == files(tmp_path, "trash") == []


def test_what_is_written_after_a_drop_is_not_undone_by_clearing(folder: Folder, tmp_path: Path) -> None:
    put(folder, 1, "a", "mark")
    trash = folder.drop("mark")
    put(folder, 1, "a", "mark")
    cleared(folder, trash)
    assert folder.read(key(1), "a") == entry("a", "mark")


def test_what_lands_in_the_trash_while_it_is_cleared_is_cleared_too(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, 1, "a")
    trash = folder.drop("a")
    discard = folder.discard

    def discard_and_be_late(path: Path) -> str | None:
        monkeypatch.undo()
        (path.parent / "late").write_bytes(b"")
        return discard(path)

    monkeypatch.setattr(folder, "discard", discard_and_be_late)
    cleared(folder, trash)
    assert list((tmp_path / "trash").iterdir()) == []


def test_a_drop_of_what_is_not_there(folder: Folder) -> None:
    assert folder.drop("a") is None


@pytest.mark.parametrize("source", ["a", "mark"])
def test_a_write_begun_before_a_drop_does_not_land_after_it(
    folder: Folder, tmp_path: Path, clock: Clock, source: str
) -> None:
    begun = clock()
    Folder(tmp_path, clock=clock).drop(source)
    assert folder.write(key(1), entry("a", "mark"), begun=begun) is None
    assert files(tmp_path, "v1") == files(tmp_path, "temp") == []


@pytest.mark.parametrize("source", ["a", "mark"])
def test_a_write_that_looked_before_the_drop_lands_in_the_trash(
    folder: Folder, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    put(folder, 9, source)
    looked = folder._dropped_since

    def look_and_be_overtaken(begun: int, homes: list[str]) -> bool:
        answer = looked(begun, homes)
        monkeypatch.undo()
        trash.append(folder.drop(source))
        return answer

    trash: list[Path | None] = []
    monkeypatch.setattr(folder, "_dropped_since", look_and_be_overtaken)
    put(folder, 1, "a", "mark")
    assert folder.read(key(1), "a") is None
    cleared(folder, trash[0])
    assert files(tmp_path, "v1") == files(tmp_path, "trash") == []


def test_a_write_that_took_too_long_is_given_up(folder: Folder, tmp_path: Path, clock: Clock) -> None:
    begun = clock()
    clock.now += 301 * SECOND
    assert folder.write(key(1), entry("a"), begun=begun) is None
    assert files(tmp_path) == []


def test_a_home_that_a_neighbour_removes_is_made_again(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = folder._dropped_since

    def lose_the_home(begun: int, homes: list[str]) -> bool:
        place(tmp_path, 1, "a").parent.rmdir()
        monkeypatch.undo()
        return looked(begun, homes)

    monkeypatch.setattr(folder, "_dropped_since", lose_the_home)
    put(folder, 1, "a")
    assert folder.read(key(1), "a") == entry("a")


def test_a_neighbour_who_never_lets_us_write_is_an_error(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_the_home(begun: int, homes: list[str]) -> bool:
        place(tmp_path, 1, "a").parent.rmdir()
        return False

    monkeypatch.setattr(folder, "_dropped_since", lose_the_home)
    with pytest.raises(FileNotFoundError):
        put(folder, 1, "a")
    assert files(tmp_path) == []


def test_removing_a_result_removes_its_layers_and_its_home(folder: Folder, tmp_path: Path) -> None:
    put(folder, 1, "a", "mark")
    folder.remove(name_of(key(1), "a"))
    folder.remove(name_of(key(1), "a"))
    assert files(tmp_path) == []
    assert not place(tmp_path, 1, "a").parent.exists()


def test_a_header_longer_than_usual_is_read_whole(folder: Folder, tmp_path: Path) -> None:
    put(folder, 1, *(f"{number}" * 500 for number in range(20)))
    assert len(files(tmp_path)) == 20
    folder.remove(name_of(key(1), "0" * 500))
    assert files(tmp_path) == []


def test_a_use_is_written_down_once_a_minute(folder: Folder, tmp_path: Path, clock: Clock) -> None:
    put(folder, 1, "a")
    path = place(tmp_path, 1, "a")
    written = path.stat().st_mtime_ns
    folder.read(key(1), "a")
    assert path.stat().st_mtime_ns == written
    clock.now += 61 * SECOND
    folder.read(key(1), "a")
    assert path.stat().st_mtime_ns == clock.now


def test_a_crash_before_a_file_was_named_leaves_nothing_for_long(
    folder: Folder, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise SystemExit

    monkeypatch.setattr(os, "rename", die)
    monkeypatch.setattr(folder, "discard", die)
    with pytest.raises(SystemExit):
        put(folder, 1, "a", "mark")
    monkeypatch.undo()
    assert [path.suffix for path in files(tmp_path)] == ["", ".layer"]
    assert folder.read(key(1), "a") is None
    assert list(folder.clear_leftovers()) == []
    assert len(files(tmp_path)) == 2, "it may still be at work"
    clock.now += 601 * SECOND
    assert list(folder.clear_leftovers()) == []
    assert files(tmp_path) == []


def test_a_crash_after_a_drop_leaves_nothing(folder: Folder, tmp_path: Path, clock: Clock) -> None:
    put(folder, 1, "a", "mark")
    folder.drop("mark")
    assert list(folder.clear_leftovers()) == [name_of(key(1), "a")]
    assert files(tmp_path, "v1") == files(tmp_path, "trash") == []
    assert len(files(tmp_path, "drops")) == 1
    clock.now += 601 * SECOND
    assert list(folder.clear_leftovers()) == []
    assert files(tmp_path, "drops") == []


def test_a_visit_finds_results_and_removes_empty_homes(folder: Folder, tmp_path: Path) -> None:
    put(folder, 1, "a")
    put(folder, 2, "b")
    place(tmp_path, 2, "b").unlink()
    (tmp_path / "v1/foreign").write_bytes(b"")
    assert seen(folder) == [name_of(key(1), "a")]
    assert not place(tmp_path, 2, "b").parent.exists()


def test_what_cannot_be_read_can_be_removed(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    put(folder, 1, "a")
    monkeypatch.setattr(file, "read", fail)
    folder.remove(name_of(key(1), "a"))
    assert files(tmp_path) == []


def test_no_descriptor_stays_open(folder: Folder, tmp_path: Path) -> None:
    before = left_open()
    put(folder, 1, "a", "mark")
    put(folder, 2, "a")
    folder.read(key(1), "a")
    os.truncate(place(tmp_path, 2, "a"), 40)
    folder.read(key(2), "a")
    cleared(folder, folder.drop("a"))
    assert left_open() == before
