"""Keys become names of files, or nothing; what the disk says becomes one of two errors."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgproxy.errors import BadKey, NotFound, StorageFailed
from imgproxy.image.source import parse_key
from imgproxy.storage.local.folder import ObjectFolder, translated


@given(st.text())
def test_names_never_climb_or_hide(key: str) -> None:
    try:
        parts = ObjectFolder(Path("/")).names(key)
    except NotFound:
        return
    assert "/".join(parts) == key
    assert not any(part in ("", ".", "..") or part.startswith(".") or "\0" in part for part in parts)


@given(st.text())
def test_every_key_that_is_not_hidden_has_names(text: str) -> None:
    try:
        key = parse_key(text)
    except BadKey:
        return
    if not any(part.startswith(".") for part in key.split("/")):
        assert ObjectFolder(Path("/")).names(key) == key.split("/")


@pytest.mark.parametrize(
    "number", [errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP]
)
def test_absence_is_not_found(number: int) -> None:
    with pytest.raises(NotFound), translated():
        raise OSError(number, os.strerror(number))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EIO, errno.ENFILE, errno.ENOSPC, None])
def test_all_else_is_a_failure_that_names_no_path(number: int | None) -> None:
    with pytest.raises(StorageFailed) as caught, translated():
        raise OSError(number, "reason", "/secret/path")
    assert "secret" not in str(caught.value)


def test_walk_of_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert list(ObjectFolder(tmp_path / "nowhere").walk("")) == []


def test_walk_reads_only_folders_that_can_hold_the_prefix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("a/b/1", "a/c/1", "d/1"):
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_bytes(b"x")
    read: list[str] = []
    scandir = os.scandir

    def noting(path: Path) -> object:
        read.append(str(path.relative_to(tmp_path)))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", noting)
    assert [key for key, _ in ObjectFolder(tmp_path).walk("a/b")] == ["a/b/1"]
    assert read == [".", "a", "a/b"]
