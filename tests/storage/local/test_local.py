"""A folder keeps the promises of a storage, and keeps to itself what is not an object."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from imgproxy.errors import NotFound, StorageFailed, StorageSlow
from imgproxy.image.source import Key
from imgproxy.storage import OpenObject, Storage
from imgproxy.storage.local import LocalStorage
from tests.storage.contract import (
    KEY,
    PLENTY,
    PresignContract,
    StorageContract,
    chunked,
    content,
    keys,
    stored,
)


@pytest.fixture
async def storage(root: Path) -> AsyncIterator[Storage]:
    storage = LocalStorage(root)
    yield storage
    await storage.close()


class TestPresigned(PresignContract):
    pass


class TestLocalStorage(StorageContract):
    async def plant(self, storage: Storage, key: Key) -> None:
        assert isinstance(storage, LocalStorage)
        path = storage._folder.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")

    keeps_type = False
    longest_key = "/".join(["x" * 204] * 5)
    ordered = ("a-b", "a.b/c", "a/b", "a0", "b", "ba/c", "c/a", "c/b/a", "c/c", "é", "日")


def outside(root: Path) -> Path:
    """Make a file beside the folder, which must never be seen."""
    secret = root.parent / "secret"
    secret.mkdir()
    (secret / "file").write_bytes(b"secret")
    root.mkdir(exist_ok=True)
    return secret


async def assert_absent(storage: Storage, spelling: str) -> None:
    key = Key(spelling)
    with pytest.raises(NotFound):
        await storage.head(key)
    with pytest.raises(NotFound):
        await storage.open(key, limit=PLENTY)
    with pytest.raises(NotFound):
        await content(storage, key)
    with pytest.raises(NotFound):
        await storage.copy(key, Key("copy"))
    assert spelling not in await keys(storage)


def folder_with(root: Path, make: Callable[[Path], object], name: str) -> None:
    """Make something in the folder that is no object."""
    root.mkdir()
    make(root / name)


def within(folder: Path) -> list[str]:
    """Return the names of what lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


def left_open() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counted, not read


HOSTILE = [
    "../secret/file",
    "a/../../secret/file",
    "..",
    ".",
    "",
    "/",
    "/etc/passwd",
    "//etc/passwd",
    "a//b",
    "a/",
    "./a",
    ".hidden",
    "a/.hidden/b",
    ".uploads/x",
    "a\0b",
    "a\0/../secret/file",
    "\udcff\udcfe",
    "x" * 300,
    "x/" * 3000 + "x",
]


class TestHostileKeys:
    """Keys that `parse_key` would have refused, as if somebody had forgotten to ask it."""

    @pytest.mark.parametrize("spelling", HOSTILE)
    async def test_nothing_is_there(self, storage: Storage, root: Path, spelling: str) -> None:
        secret = outside(root)
        await stored(storage, Key("a/b"))
        (root / ".hidden").write_bytes(b"hidden")
        await assert_absent(storage, spelling)
        await storage.delete(Key(spelling))
        assert (secret / "file").read_bytes() == b"secret"
        assert (root / ".hidden").read_bytes() == b"hidden"
        assert await keys(storage) == ["a/b"]

    @pytest.mark.parametrize("spelling", HOSTILE)
    async def test_nothing_can_be_put_there(self, storage: Storage, root: Path, spelling: str) -> None:
        secret = outside(root)
        with pytest.raises((NotFound, StorageFailed)):
            await storage.put(Key(spelling), chunked(b"evil"))
        assert (secret / "file").read_bytes() == b"secret"
        assert within(root / ".uploads") == []
        assert await keys(storage) == []

    async def test_deepest_key_is_walked(self, storage: Storage) -> None:
        key = await stored(storage, Key("/".join("a" * 512)))
        assert await keys(storage) == [key]
        await storage.delete(key)
        assert await keys(storage) == []

    async def test_key_beneath_an_object_is_a_failure(self, storage: Storage) -> None:
        await stored(storage, Key("a"))
        with pytest.raises(StorageFailed):
            await storage.put(Key("a/b"), chunked(b"x"))

    async def test_key_above_an_object_is_a_failure(self, storage: Storage) -> None:
        await stored(storage, Key("a/b"))
        with pytest.raises(StorageFailed):
            await storage.put(Key("a"), chunked(b"x"))


class TestLinks:
    async def test_file_link_out_is_absent(self, storage: Storage, root: Path) -> None:
        secret = outside(root)
        (root / "link").symlink_to(secret / "file")
        await assert_absent(storage, "link")

    async def test_folder_link_out_is_absent(self, storage: Storage, root: Path) -> None:
        (root / "link").symlink_to(outside(root), target_is_directory=True)
        await assert_absent(storage, "link/file")

    async def test_nothing_is_written_through_a_link_out(self, storage: Storage, root: Path) -> None:
        secret = outside(root)
        (root / "link").symlink_to(secret, target_is_directory=True)
        with pytest.raises(NotFound):
            await storage.put(Key("link/file"), chunked(b"evil"))
        with pytest.raises(NotFound):
            await storage.put(Key("link/new/file"), chunked(b"evil"))
        assert within(secret) == ["file"]
        assert (secret / "file").read_bytes() == b"secret"

    async def test_nothing_is_deleted_through_a_link_out(self, storage: Storage, root: Path) -> None:
        secret = outside(root)
        (root / "link").symlink_to(secret, target_is_directory=True)
        await storage.delete(Key("link/file"))
        assert (secret / "file").exists()

    async def test_neighbour_whose_name_begins_alike_is_outside(self, storage: Storage, root: Path) -> None:
        outside(root)
        twin = root.parent / "objects-of-others"
        twin.mkdir()
        (twin / "file").write_bytes(b"secret")
        (root / "link").symlink_to(twin / "file")
        await assert_absent(storage, "link")

    async def test_link_to_a_hidden_file_is_absent(self, storage: Storage, root: Path) -> None:
        outside(root)
        (root / ".hidden").write_bytes(b"hidden")
        (root / "link").symlink_to(root / ".hidden")
        await assert_absent(storage, "link")

    async def test_link_that_stays_inside_is_followed(self, storage: Storage, root: Path) -> None:
        await stored(storage)
        (root / "link.jpg").symlink_to(KEY)
        assert await content(storage, Key("link.jpg")) == b"0123456789"
        assert await keys(storage) == [KEY, "link.jpg"]

    async def test_root_may_be_a_link(self, storage: Storage, root: Path, tmp_path: Path) -> None:
        await stored(storage)
        (tmp_path / "elsewhere").symlink_to(root)
        other = LocalStorage(tmp_path / "elsewhere")
        assert await content(other, KEY) == b"0123456789"
        await other.close()

    async def test_loops_end(self, storage: Storage, root: Path) -> None:
        await stored(storage)
        (root / "loop").symlink_to("loop")
        (root / "folder" / "up").symlink_to("..", target_is_directory=True)
        await assert_absent(storage, "loop")
        assert await keys(storage) == [KEY]

    async def test_without_proc_links_are_judged_by_path(
        self, storage: Storage, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("imgproxy.storage.local.folder._DESCRIPTORS", root / "no" / "proc")
        secret = outside(root)
        (root / "link").symlink_to(secret / "file")
        await assert_absent(storage, "link")
        await stored(storage)
        (root / "inside").symlink_to(KEY)
        assert await content(storage, Key("inside")) == b"0123456789"


class TestOddFiles:
    async def test_folder_is_absent(self, storage: Storage) -> None:
        await stored(storage)
        with pytest.raises(NotFound):
            await storage.open(Key("folder"), limit=PLENTY)

    async def test_fifo_is_absent_and_nobody_waits_for_it(self, storage: Storage, root: Path) -> None:
        folder_with(root, os.mkfifo, "fifo")
        await assert_absent(storage, "fifo")

    async def test_socket_is_absent(
        self, storage: Storage, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def bind(path: Path) -> None:
            monkeypatch.chdir(path.parent)  # the addresses of sockets are short
            listening.bind(path.name)

        with socket.socket(socket.AF_UNIX) as listening:
            folder_with(root, bind, "socket")
            await assert_absent(storage, "socket")

    async def test_device_is_absent(self, storage: Storage, root: Path) -> None:
        folder_with(root, lambda path: path.symlink_to("/dev/zero"), "device")
        await assert_absent(storage, "device")

    async def test_name_that_is_no_text_is_not_listed(self, storage: Storage, root: Path) -> None:
        await stored(storage)
        (root / os.fsdecode(b"\xff\xfe")).write_bytes(b"x")
        assert await keys(storage) == [KEY]

    async def test_what_is_being_written_is_not_seen(self, storage: Storage, root: Path) -> None:
        reached, go_on = asyncio.Event(), asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            yield bytes(2 * 1024 * 1024)
            reached.set()
            await go_on.wait()

        putting = asyncio.create_task(storage.put(KEY, slowly()))
        await reached.wait()
        [draft] = list((root / ".uploads").iterdir())
        assert draft.stat().st_size > 0
        await assert_absent(storage, f".uploads/{draft.name}")
        assert await keys(storage) == []
        go_on.set()
        await putting
        assert await keys(storage) == [KEY]
        assert within(root / ".uploads") == []


class TestTidiness:
    async def test_delete_removes_folders_it_leaves_empty(self, storage: Storage, root: Path) -> None:
        await stored(storage, Key("a/b/c/1"))
        await stored(storage, Key("a/2"))
        await storage.delete(Key("a/b/c/1"))
        assert within(root) == [".uploads", "a"]
        assert within(root / "a") == ["2"]

    async def test_failed_and_cancelled_puts_leave_nothing(self, storage: Storage, root: Path) -> None:
        reached = asyncio.Event()

        async def stuck() -> AsyncIterator[bytes]:
            yield bytes(2 * 1024 * 1024)
            reached.set()
            await asyncio.Event().wait()

        putting = asyncio.create_task(storage.put(KEY, stuck()))
        await reached.wait()
        putting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await putting
        assert within(root / ".uploads") == []

    async def test_refusals_leave_no_descriptor_open(self, storage: Storage, root: Path) -> None:
        secret = outside(root)
        (root / "link").symlink_to(secret / "file")
        await stored(storage)
        await assert_absent(storage, "warm/up")
        before = left_open()
        await assert_absent(storage, "link")
        await assert_absent(storage, "folder")
        with pytest.raises(StorageFailed):
            await storage.put(Key("folder"), chunked(b"x"))
        assert left_open() == before

    async def test_file_opened_after_its_client_has_left_is_closed(
        self, storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await stored(storage)
        entered, go_on, closed = threading.Event(), threading.Event(), threading.Event()
        opening, closing = storage._folder.open, OpenObject.close

        def slow_open(key: str) -> tuple[int, os.stat_result]:
            entered.set()
            assert go_on.wait(10)
            return opening(key)

        def noted_close(original: OpenObject) -> None:
            closing(original)
            closed.set()

        monkeypatch.setattr(storage._folder, "open", slow_open)
        monkeypatch.setattr("imgproxy.storage.local.OpenObject.close", noted_close)
        waiting = asyncio.create_task(storage.open(KEY, limit=PLENTY))
        assert await asyncio.to_thread(entered.wait, 10)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        go_on.set()
        assert await asyncio.to_thread(closed.wait, 10)


class TestDrafts:
    async def test_what_a_killed_writer_left_goes_when_nobody_has_touched_it_for_an_hour(
        self, storage: Storage, root: Path
    ) -> None:
        drafts = root / ".uploads"
        (drafts / "parts").mkdir(parents=True)
        for name, hours in (("old", 2), ("new", 0), ("parts", 2)):
            (drafts / name).touch()
            then = time.time() - hours * 3600
            os.utime(drafts / name, (then, then))
        await stored(storage)
        assert {each.name for each in drafts.iterdir()} == {"new", "parts"}


class TestFaults:
    @pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EMFILE, errno.ESTALE, errno.ETIMEDOUT])
    async def test_fault_of_the_disk_is_no_absence(
        self, storage: Storage, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        await stored(storage)

        def fail(*_: object, **__: object) -> int:
            raise OSError(number, os.strerror(number))

        with monkeypatch.context() as patched:
            patched.setattr("imgproxy.storage.local.folder.os.open", fail)
            for call in (
                storage.head(KEY),
                storage.open(KEY, limit=PLENTY),
                storage.put(KEY, chunked(b"x")),
                storage.copy(KEY, Key("copy")),
                storage.delete(KEY),
                content(storage, KEY),
                keys(storage),
            ):
                with pytest.raises(StorageFailed, match=r"^the (storage|object) could not be"):
                    await call

    async def test_disk_that_hangs_is_slow(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        storage, go_on = LocalStorage(root, patience=0.01), threading.Event()
        monkeypatch.setattr(storage._folder, "open", lambda _: go_on.wait(10))
        with pytest.raises(StorageSlow):
            await storage.head(KEY)
        go_on.set()
        await storage.close()

    async def test_file_that_shrinks_while_it_is_read(self, storage: Storage, root: Path) -> None:
        await stored(storage, data=bytes(600_000))
        reading = storage.read(KEY)
        await anext(reading)
        os.truncate(root / KEY, 1000)
        with pytest.raises(StorageFailed, match="announced length"):
            await anext(reading)

    async def test_check_names_the_folder_and_the_reason(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        storage = LocalStorage(tmp_path / "file" / "objects")
        with pytest.raises(StorageFailed, match=r"cannot write to the folder .*objects: Not a directory"):
            await storage.check()
        await storage.close()
