"""A draft is seen when it is published, whole, and never otherwise."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from imgproxy.errors import StorageFailed
from imgproxy.storage.local.draft import Draft
from imgproxy.storage.local.folder import ObjectFolder


@pytest.fixture
def folder(tmp_path: Path) -> ObjectFolder:
    return ObjectFolder(tmp_path / "objects")


def test_published_draft_has_its_name_and_no_other(folder: ObjectFolder) -> None:
    draft = Draft(folder)
    draft.write(b"01234")
    draft.write(b"56789")
    assert draft.publish("a/b").st_size == 10
    draft.discard()
    assert (folder.root / "a/b").read_bytes() == b"0123456789"
    assert list((folder.root / ".uploads").iterdir()) == []


def test_discarded_draft_leaves_nothing(folder: ObjectFolder) -> None:
    draft = Draft(folder)
    draft.write(b"x")
    draft.discard()
    draft.discard()
    assert [path.name for path in folder.root.iterdir()] == [".uploads"]
    assert list((folder.root / ".uploads").iterdir()) == []


def test_what_was_discarded_cannot_be_published(folder: ObjectFolder) -> None:
    draft = Draft(folder)
    draft.discard()
    with pytest.raises(StorageFailed):
        draft.publish("a")


def test_umask_decides_who_may_read(folder: ObjectFolder) -> None:
    before = os.umask(0o027)
    try:
        draft = Draft(folder)
        assert draft.publish("a").st_mode & 0o777 == 0o640
    finally:
        os.umask(before)
        draft.discard()


def test_folder_that_a_neighbour_removes_is_made_again(
    folder: ObjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, tries = os.rename, []

    def losing(source: Path, name: str, *, dst_dir_fd: int) -> None:
        tries.append(name)
        if len(tries) == 1:
            (folder.root / "a" / "b").rmdir()
        rename(source, name, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "rename", losing)
    draft = Draft(folder)
    draft.publish("a/b/c")
    draft.discard()
    assert (folder.root / "a/b/c").exists()
    assert tries == ["c", "c"]


def test_losing_every_race_ends(folder: ObjectFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def losing(*_: object, **__: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(os, "rename", losing)
    draft = Draft(folder)
    with pytest.raises(StorageFailed, match="keeps losing"):
        draft.publish("a")
    draft.discard()


def test_discard_waits_for_a_write_that_is_stuck(
    folder: ObjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, go_on = threading.Event(), threading.Event()
    order: list[str] = []

    def stuck(descriptor: int, data: bytes) -> int:
        entered.set()
        assert go_on.wait(10)
        os.fstat(descriptor)  # still ours
        order.append("written")
        return len(data)

    monkeypatch.setattr(os, "write", stuck)
    draft = Draft(folder)

    def discard() -> None:
        draft.discard()
        order.append("discarded")

    writing = threading.Thread(target=draft.write, args=(b"x",))
    discarding = threading.Thread(target=discard)
    writing.start()
    assert entered.wait(10)
    discarding.start()
    go_on.set()
    writing.join()
    discarding.join()
    assert order == ["written", "discarded"]
