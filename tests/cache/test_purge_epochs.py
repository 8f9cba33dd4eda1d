"""Purge epochs: a purge that was answered is over in every process and after every restart."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from imgproxy.cache.purge_epochs import PurgeEpochs
from tests.cache.results import left_open


def purge(key: str, *processes: PurgeEpochs) -> None:
    """Purge as the endpoint does: recorded by one process, applied by all."""
    processes[0].record(key)
    for each in processes:
        each.apply(key)


def test_apply_in_memory_raises_the_number_of_one_key() -> None:
    epochs = PurgeEpochs()
    epochs.apply("a")
    assert (epochs.of("a"), epochs.of("b"), epochs.of("\udcff")) == (1, 0, 0)
    assert epochs.are_current(["a", "b"])


def test_apply_of_numbers_told_twice_or_late_in_memory_raises_once() -> None:
    epochs, seen = PurgeEpochs(), []
    for number in (7, 3, 7, 8):
        epochs.apply("a", number)
        seen.append(epochs.of("a"))
    assert seen == [7, 7, 7, 8]


def test_apply_after_record_takes_one_number_everywhere(tmp_path: Path) -> None:
    ours, theirs = PurgeEpochs(tmp_path), PurgeEpochs(tmp_path)
    for number in (1, 2, 3):
        purge("a", ours, theirs, ours, theirs)
        assert ours.of("a") == theirs.of("a") == PurgeEpochs(tmp_path).of("a") == number
    assert ours.of("b") == 0


def test_record_before_a_crash_is_loaded_by_the_next_start(tmp_path: Path) -> None:
    PurgeEpochs(tmp_path).record("a")
    assert PurgeEpochs(tmp_path).of("a") == 1


def test_are_current_learns_of_a_purge_once(tmp_path: Path) -> None:
    ours, theirs = PurgeEpochs(tmp_path), PurgeEpochs(tmp_path)
    ours.record("a")
    assert [theirs.are_current(keys) for keys in (["b"], ["b", "a"], ["a"])] == [True, False, True]
    assert theirs.of("a") == 1


def test_record_in_a_process_that_is_behind_still_raises(tmp_path: Path) -> None:
    ours, theirs = PurgeEpochs(tmp_path), PurgeEpochs(tmp_path)
    purge("a", ours)
    purge("a", theirs)
    assert theirs.of("a") == 2
    assert not ours.are_current(["a"])


@pytest.mark.parametrize("lost", ["epochs", "folder"])
def test_lost_file_falls_behind_no_process_and_discards_results(tmp_path: Path, lost: str) -> None:
    folder = tmp_path / "cache"
    ours, theirs = PurgeEpochs(folder), PurgeEpochs(folder)
    for _ in range(5):
        purge("a", ours, theirs)
    (folder / "results" / "ab").mkdir(parents=True)
    if lost == "folder":
        shutil.rmtree(folder)
    else:
        (folder / "epochs").unlink()
    restarted = PurgeEpochs(folder)
    assert not (folder / "results").exists()
    assert not ours.are_current(["b"]), "it does not know the file"
    purge("a", restarted, ours, theirs)
    assert ours.of("a") > 5
    assert theirs.of("a") > 5
    assert PurgeEpochs(folder).of("a") == max(ours.of("a"), theirs.of("a"))


def test_file_cut_short_by_a_power_cut_is_a_lost_file(tmp_path: Path) -> None:
    PurgeEpochs(tmp_path).record("a")
    (tmp_path / "results").mkdir()
    os.truncate(tmp_path / "epochs", 100)
    assert PurgeEpochs(tmp_path).of("a") == 0
    assert not (tmp_path / "results").exists()


def test_apply_on_a_disk_that_turned_read_only_raises_the_number_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs, whole = PurgeEpochs(tmp_path), os.open

    def open_(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
        if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, "Read-only file system")
        return whole(path, flags, *arguments, **named)

    monkeypatch.setattr(os, "open", open_)
    for work in (epochs.record, epochs.apply):
        with pytest.raises(OSError, match="Read-only"):
            work("a")
    assert epochs.of("a") == 1
    assert epochs.are_current(["a"])


def test_folder_that_cannot_be_made_is_current_never(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    epochs = PurgeEpochs(tmp_path / "file" / "cache")
    with pytest.raises(OSError, match="Not a directory"):
        epochs.are_current([])


def test_records_of_threads_and_processes_at_once_are_all_counted(tmp_path: Path) -> None:
    work = (
        f"from pathlib import Path\nfrom imgproxy.cache.purge_epochs import PurgeEpochs\n"
        f"epochs = PurgeEpochs(Path({str(tmp_path)!r}))\nfor _ in range(50): epochs.record('a')"
    )
    processes = [subprocess.Popen([sys.executable, "-c", work]) for _ in range(2)]
    epochs = PurgeEpochs(tmp_path)
    threads = [threading.Thread(target=lambda: [epochs.record("a") for _ in range(25)]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait() for process in processes] == [0, 0]
    assert PurgeEpochs(tmp_path).of("a") == 150


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    before = left_open()
    epochs = PurgeEpochs(tmp_path)
    purge("a", epochs)
    epochs.are_current(["a"])
    assert left_open() == before
