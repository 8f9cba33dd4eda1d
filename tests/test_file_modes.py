"""What this program creates is its user's alone, whatever the umask says."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgproxy import file_modes
from imgproxy.cache.key import SourceVersion, result_key
from imgproxy.cache.layout import ResultFolder
from imgproxy.cache.purge_epochs import PurgeEpochs
from imgproxy.cache.tiers import Entry
from imgproxy.files.database.sqlite import SqliteDatabase
from imgproxy.image.source import Key
from imgproxy.storage.local import LocalStorage
from tests.storage.contract import chunked


@pytest.fixture(autouse=True)
def _generous_umask() -> Iterator[None]:
    before = os.umask(0o000)
    yield
    os.umask(before)


def readable_by_others(below: Path) -> list[str]:
    """Everything below a folder that other users can read or enter."""
    return sorted(str(each.relative_to(below)) for each in below.rglob("*") if each.stat().st_mode & 0o077)


def test_make_folder_gives_every_folder_it_makes_to_its_owner_and_changes_no_other(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir(0o755)
    file_modes.make_folder(tmp_path / "there" / "a" / "b")
    file_modes.make_folder(tmp_path / "there" / "a")
    assert readable_by_others(tmp_path) == ["there"]
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        file_modes.make_folder(tmp_path / "file")


def test_exposed_mode_tells_the_mode_of_what_others_can_reach(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    path = tmp_path / "file"
    assert file_modes.exposed_mode(path) is None
    path.touch(0o644)
    assert file_modes.exposed_mode(path) == "0644"
    tmp_path.chmod(0o700)
    assert file_modes.exposed_mode(path) is None
    assert file_modes.exposed_mode(tmp_path) is None


async def test_sqlite_database_is_its_owners_with_its_wal(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "data" / "imgproxy.db")
    await database.migrate()
    names = sorted(each.name for each in (tmp_path / "data").iterdir())
    modes = {stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "data").iterdir()}
    await database.close()
    assert names == ["imgproxy.db", "imgproxy.db-shm", "imgproxy.db-wal"]
    assert modes == {0o600}
    assert readable_by_others(tmp_path) == []


def test_cache_folder_is_its_owners_with_its_files(tmp_path: Path) -> None:
    root = tmp_path / "data" / "cache"
    key = result_key([SourceVersion(Key("a"), "1")], transform="", output="", answer="image", encoder="")
    PurgeEpochs(root).record("a")
    ResultFolder(root).write(key, Entry(b"x", "image/png", None, (Key("a"),)))
    assert len([each for each in tmp_path.rglob("*") if each.is_file()]) == 3
    assert readable_by_others(tmp_path) == []


async def test_local_storage_makes_its_root_and_drafts_for_their_owner(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "data" / "objects")
    await storage.put(Key("a.jpg"), chunked(b"x"))
    await storage.multipart.begin(Key("b.jpg"))
    await storage.close()
    root = tmp_path / "data" / "objects"
    private = [tmp_path / "data", root, root / ".uploads", root / ".parts"]
    assert {stat.S_IMODE(each.stat().st_mode) for each in private} == {0o700}


async def test_local_storage_leaves_a_folder_of_the_operators_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir(0o755)
    storage = LocalStorage(tmp_path / "objects")
    await storage.put(Key("folder/a.jpg"), chunked(b"x"))
    await storage.close()
    assert readable_by_others(tmp_path) == ["objects", "objects/folder", "objects/folder/a.jpg"]
