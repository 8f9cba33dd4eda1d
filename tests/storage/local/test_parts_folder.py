"""What an upload in parts leaves in a folder, whenever we die, is ended by aborting it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from imgproxy.errors import NotFound, StorageFailed
from imgproxy.image.source import Key
from imgproxy.storage import BadParts
from imgproxy.storage.local.draft import Draft
from imgproxy.storage.local.folder import ObjectFolder
from imgproxy.storage.local.multipart import PartsFolder

KEY = Key("staging/acme/1")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.fixture
def uploads(root: Path) -> PartsFolder:
    return PartsFolder(ObjectFolder(root))


def within(root: Path) -> list[str]:
    """Every file below a folder."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def part(uploads: PartsFolder, upload: str, number: int = 1, data: bytes = b"part") -> None:
    draft = uploads.draft(KEY, upload)
    draft.write(data)
    uploads.keep(draft, KEY, upload, number)
    draft.discard()


def test_nothing_of_an_upload_is_an_object(uploads: PartsFolder, root: Path) -> None:
    upload = uploads.begin(KEY)
    part(uploads, upload)
    uploads.draft(KEY, upload)  # and we die
    assert list(ObjectFolder(root).walk("")) == []
    assert [found.upload for found in uploads.list("")] == [upload]


@pytest.mark.parametrize("written", [b"", b"half a part"])
def test_what_we_died_over_goes_with_the_upload(uploads: PartsFolder, root: Path, written: bytes) -> None:
    upload = uploads.begin(KEY)
    part(uploads, upload)
    uploads.draft(KEY, upload).write(written)
    uploads.remove(KEY, upload)
    assert within(root) == []
    assert list((root / ".parts").iterdir()) == []


@pytest.mark.parametrize(
    "act",
    [
        lambda uploads, upload, draft: uploads.draft(KEY, upload),
        lambda uploads, upload, draft: uploads.keep(draft, KEY, upload, 2),
        lambda uploads, upload, draft: uploads.publish(draft, KEY, upload),
        lambda uploads, upload, draft: uploads.received(KEY, upload),
    ],
)
def test_an_aborted_upload_becomes_nothing_any_more(
    uploads: PartsFolder, root: Path, act: Callable[..., object]
) -> None:
    upload = uploads.begin(KEY)
    draft = uploads.draft(KEY, upload)
    draft.write(b"late")
    uploads.remove(KEY, upload)
    with pytest.raises((NotFound, FileNotFoundError)):
        act(uploads, upload, draft)
    draft.discard()
    assert within(root) == []


@pytest.mark.parametrize("call", ["keep", "publish"])
def test_an_upload_aborted_at_that_very_moment_is_not_there(
    uploads: PartsFolder, root: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    upload = uploads.begin(KEY)
    draft = uploads.draft(KEY, upload)
    syncing = os.fsync

    def abort(descriptor: int) -> None:
        monkeypatch.setattr(os, "fsync", syncing)
        uploads.remove(KEY, upload)

    monkeypatch.setattr(os, "fsync", abort)
    with pytest.raises(NotFound):
        uploads.keep(draft, KEY, upload, 1) if call == "keep" else uploads.publish(draft, KEY, upload)
    draft.discard()
    assert within(root) == []


def test_a_failure_of_the_disk_is_no_absence(uploads: PartsFolder, root: Path) -> None:
    upload = uploads.begin(Key("a/b"))
    draft = uploads.draft(Key("a/b"), upload)
    (root / "a").write_bytes(b"in the way")
    with pytest.raises(StorageFailed):
        uploads.publish(draft, Key("a/b"), upload)
    draft.discard()
    assert [found.upload for found in uploads.list("")] == [upload]


def test_a_part_replaced_meanwhile_is_noticed(uploads: PartsFolder) -> None:
    upload = uploads.begin(KEY)
    part(uploads, upload)
    before = uploads.received(KEY, upload)[1]
    part(uploads, upload, data=b"PART")
    draft = uploads.draft(KEY, upload)
    with pytest.raises(BadParts, match="was replaced"):
        uploads.append(draft, KEY, upload, before, 0)
    draft.discard()


def test_what_was_half_made_or_half_removed_is_forgotten_in_passing(uploads: PartsFolder, root: Path) -> None:
    old, new = root / ".parts" / f".{'0' * 32}", root / ".parts" / f".{'1' * 32}"
    for place in (old, new):
        place.mkdir(parents=True)
        (place / "00001").write_bytes(b"part")
    os.utime(old, (0, 0))
    assert uploads.list("") == []
    assert (old.exists(), new.exists()) == (False, True)


def test_drafts_that_we_died_over_are_forgotten_in_passing(uploads: PartsFolder, root: Path) -> None:
    old, new = Draft(ObjectFolder(root)), Draft(ObjectFolder(root))
    [path, _] = (root / ".uploads").iterdir()
    os.utime(path, (0, 0))
    assert uploads.list("") == []
    assert path.exists() is False
    assert len(within(root)) == 1
    old.discard()
    new.discard()


@pytest.mark.parametrize("spelling", ["../x", ".parts/x", "", "a//b", "a\0b"])
def test_no_upload_is_begun_for_what_cannot_be_an_object(
    uploads: PartsFolder, root: Path, spelling: str
) -> None:
    with pytest.raises(NotFound):
        uploads.begin(Key(spelling))
    assert not root.exists()
