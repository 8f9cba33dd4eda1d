"""A file on its way into a folder: nobody sees it until it is whole.

It lies under `.uploads` or in another place that the folder never serves, until `publish` has brought
it to disk and given it its name. One thread works on it at a time; `discard` may be asked for while
another thread is still stuck in `write`, and then waits for it, for closing its descriptor meanwhile
would let that thread write into whatever file is opened next.
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
from imgproxy.storage.blocks import blocks
from imgproxy.storage.folder import ObjectFolder
from imgproxy.storage.threads import Threads

DRAFTS = ".uploads"
_STRETCH = 64 * 1024 * 1024  # copied in one go: a fraction of a second on any disk worth the name
_BLOCK = 1024 * 1024  # written at once: a thread costs 0.1 ms a time
_RACES = 100  # each lost one means that a neighbour removed the folder we had just made


class Draft:
    """Write, then publish or not, then discard in any case. Every call may block."""

    def __init__(self, folder: ObjectFolder, place: Path | None = None, *, prefix: str = "") -> None:
        """Begin a file in `place`, which must be there, or else in a place for all.

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
        """Give the empty file the length that it will have, so that other processes see its size."""
        with self._lock, storing():
            os.ftruncate(self._descriptor, length)

    def write(self, block: bytes | memoryview) -> None:
        """Append bytes."""
        with self._lock, storing():
            view = memoryview(block)
            while view:
                view = view[os.write(self._descriptor, view) :]

    def copy_from(self, descriptor: int, start: int) -> int:
        """Append a stretch of another file within the kernel; return how many bytes, 0 at its end."""
        with self._lock, storing():
            return os.sendfile(self._descriptor, descriptor, start, _STRETCH)

    def publish(self, key: str) -> os.stat_result:
        """Give the file its name, in place of whatever had it."""
        *parents, name = self._folder.names(key)
        with self._lock, storing():
            path = self._written()
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
        """Give the file a name in the place where it was begun, in place of whatever had it."""
        with self._lock, storing():
            path = self._written()
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

    def _written(self) -> Path:
        if self._path is None:
            raise StorageFailed("the object was discarded before it was stored")
        os.fsync(self._descriptor)
        return self._path

    def _move(self, path: Path, parents: tuple[str, ...], name: str) -> None:
        with self._folder.entered(parents, make=True) as folder:
            os.rename(path, name, dst_dir_fd=folder)
            self._path = None
            # Without this a power cut may undo the rename. Folders made on the way are of the same
            # or an earlier transaction of any journalled file system.
            os.fsync(folder)


def forget_drafts(folder: ObjectFolder, *, seconds: float) -> None:
    """Remove what nobody has written to for so long: whoever began it was killed."""
    before = time.time() - seconds
    with storing(), suppress(FileNotFoundError):
        for each in (folder.root / DRAFTS).iterdir():
            with suppress(FileNotFoundError):  # a neighbour was quicker
                found = each.lstat()
                if stat.S_ISREG(found.st_mode) and found.st_mtime < before:
                    each.unlink()


@asynccontextmanager
async def drafting(threads: Threads, begin: Callable[..., Draft], *arguments: object) -> AsyncIterator[Draft]:
    """Lend a draft that `begin` makes in a thread, and discard it unless it was published."""
    draft = await threads.run(begin, *arguments, late=Draft.discard)
    try:
        yield draft
    finally:
        await threads.run(draft.discard)


async def pour(threads: Threads, chunks: AsyncIterator[bytes], draft: Draft) -> None:
    """Write what arrives."""
    async with aclosing(blocks(chunks, size=_BLOCK)) as regrouped:
        async for block in regrouped:
            await threads.run(draft.write, block.getbuffer())


@contextmanager
def storing() -> Iterator[None]:
    """Let no `OSError` out: when writing, a name that cannot be is a fault, not an absence."""
    try:
        yield
    except OSError as error:
        raise StorageFailed("the object could not be stored") from error
