"""What a neighbour has removed meanwhile is no error."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from imgproxy.cache import file


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert file.write(tmp_path / "a", (b"pic", b"ture")) == 7
    with file.opened(tmp_path / "a") as descriptor:
        assert file.read(descriptor, 100) == b"picture"


def test_a_disk_that_takes_little_at_a_time_gets_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, block: whole(descriptor, bytes(block[:3])))
    file.write(tmp_path / "a", (b"0123456789", b"abc"))
    monkeypatch.undo()
    assert (tmp_path / "a").read_bytes() == b"0123456789abc"


def test_a_file_is_never_written_twice(tmp_path: Path) -> None:
    file.write(tmp_path / "a", (b"x",))
    with pytest.raises(FileExistsError):
        file.write(tmp_path / "a", (b"y",))


def test_a_link_takes_the_place_of_another(tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(b"new")
    with file.entered(tmp_path / "folder") as folder:
        (tmp_path / "folder/name").write_bytes(b"old")
        file.link(tmp_path / "new", "name", folder)
    assert (tmp_path / "folder/name").samefile(tmp_path / "new")


def test_only_a_name_of_the_same_file_is_removed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "b").write_bytes(b"")
    found = (tmp_path / "a").stat()
    for name in ("a", "b", "absent"):
        file.unlink_same(tmp_path / name, found)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_whatever_lies_in_a_file_s_place_is_removed(tmp_path: Path) -> None:
    (tmp_path / "folder/inner").mkdir(parents=True)
    file.unlink(tmp_path / "folder")
    file.unlink(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


def test_what_is_absent_is_not_an_error(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    assert not file.move(absent, tmp_path / "b")
    assert file.rmdir(absent)
    assert file.listed(absent) == []
    assert file.older(absent, 0)


def test_a_folder_that_is_not_empty_stays(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    assert not file.rmdir(tmp_path)
    assert file.listed(tmp_path / "a") == []


def test_the_older_of_two_moments(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    os.utime(tmp_path / "a", ns=(5, 5))
    assert (file.older(tmp_path / "a", 6), file.older(tmp_path / "a", 5)) == (True, False)
