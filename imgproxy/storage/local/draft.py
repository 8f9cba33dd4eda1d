"""A file that is being written, invisible until it is whole.

It lies under `.uploads` or in an upload's folder until `publish` syncs and renames it. One thread writes
at a time. `discard` may run while another thread is stuck in `write`; it waits for that thread, which
would otherwise write into the next file that is opened with the same descriptor.
"""

from __future__ import annotations

import os
import secrets
import stat
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from threading import Lock

from imgproxy import file_modes
from imgproxy.errors import StorageFailed
from imgproxy.storage.buffers import blocks
from imgproxy.storage.local.folder import ObjectFolder
from imgproxy.storage.local.threads import Threads

DRAFTS = ".uploads"
_STRETCH = 64 * 1024 * 1024  # copied in one call: a fraction of a second on any disk
_BLOCK = 1024 * 1024  # written in one call: a thread costs 0.1 ms a time
_RACES = 100  # each lost one means that another process removed the folder just created


class Draft:
    """A new file: write, then publish or not, then always discard. Every call may block."""

    def __init__(self, folder: ObjectFolder, place: Path | None = None, *, prefix: str = "") -> None:
        """Create a file in `place`, which must exist, or else in the folder of all drafts.

        `prefix` begins the file's name until it is published.
        """
        self._folder = folder
        self._lock = Lock()
        self._path: Path | None = (place or folder.root / DRAFTS) / (prefix + secrets.token_hex(16))
        with storing():
            if place is None:
                file_modes.make_folder(self._path.parent)
            # The umask decides who may read an object where its folder lets them: often a web server.
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)

    def reserve(self, length: int) -> None:
        """Set the empty file's final length, so that other processes see its size."""
        with self._lock, storing():
            os.ftruncate(self._descriptor, length)

    def write(self, block: bytes | memoryview) -> None:
        """Append bytes."""
        with self._lock, storing():
            view = memoryview(block)
            while view:
                view = view[os.write(self._descriptor, view) :]

    def copy_from(self, descriptor: int, start: int) -> int:
        """Append a stretch of another file within the kernel; return its bytes, 0 at the file's end."""
        with self._lock, storing():
            return os.sendfile(self._descriptor, descriptor, start, _STRETCH)

    def publish(self, key: str) -> os.stat_result:
        """Rename the file to its key, replacing an existing object."""
        *parents, name = self._folder.names(key)
        with self._lock, storing():
            path = self._synced()
            for _ in range(_RACES):
                try:
                    self._move(path, tuple(parents), name)
                    break
                except FileNotFoundError:
                    continue
            else:
                raise StorageFailed("the storage keeps losing the folder of the key")
            return os.fstat(self._descriptor)

    def keep(self, name: str) -> os.stat_result:
        """Rename the file within its folder, replacing an existing one."""
        with self._lock, storing():
            path = self._synced()
            path.rename(path.with_name(name))
            self._path = None
            return os.fstat(self._descriptor)

    def discard(self) -> None:
        """Close the file, and remove it unless it was published; a second call does nothing."""
        with self._lock, storing():
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1
            if self._path:
                self._path.unlink(missing_ok=True)
                self._path = None

    def _synced(self) -> Path:
        if self._path is None:
            raise StorageFailed("the object was discarded before it was stored")
        os.fsync(self._descriptor)
        return self._path

    def _move(self, path: Path, parents: tuple[str, ...], name: str) -> None:
        with self._folder.entered(parents, make=True) as folder:
            os.rename(path, name, dst_dir_fd=folder)
            self._path = None
            # Without this a power cut may undo the rename. Folders created on the way are of the same
            # or an earlier transaction of any journalled file system.
            os.fsync(folder)


def remove_stale_drafts(folder: ObjectFolder, *, seconds: float) -> None:
    """Remove drafts without a write for so long: their processes were killed."""
    before = time.time() - seconds
    with storing(), suppress(FileNotFoundError):
        for path in (folder.root / DRAFTS).iterdir():
            with suppress(FileNotFoundError):  # another process was quicker
                status = path.lstat()
                if stat.S_ISREG(status.st_mode) and status.st_mtime < before:
                    path.unlink()


@asynccontextmanager
async def drafting(threads: Threads, begin: Callable[..., Draft], *arguments: object) -> AsyncIterator[Draft]:
    """Lend a draft that `begin` creates in a thread, and discard it unless it was published."""
    draft = await threads.run(begin, *arguments, late=Draft.discard)
    try:
        yield draft
    finally:
        await threads.run(draft.discard)


async def write_chunks(threads: Threads, chunks: AsyncIterator[bytes], draft: Draft) -> None:
    """Write chunks as they arrive."""
    async with aclosing(blocks(chunks, size=_BLOCK)) as regrouped:
        async for block in regrouped:
            await threads.run(draft.write, block.getbuffer())


@contextmanager
def storing() -> Iterator[None]:
    """Translate each `OSError` of a write into a failure, never into an absence."""
    try:
        yield
    except OSError as error:
        raise StorageFailed("the object could not be stored") from error
