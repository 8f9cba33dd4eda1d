"""File operations that cannot leave one folder.

A path is checked after it is opened, by the kernel's own path of the descriptor: exchanging a symbolic
link between check and use has no effect. Links that stay inside are followed. Files outside the folder,
and names that begin with a dot, do not exist here.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from imgproxy.errors import NotFound, StorageFailed
from imgproxy.image.source import MAX_KEY_BYTES
from imgproxy.storage import HIDDEN_PREFIXES, is_hidden, require_visible

_DESCRIPTORS = Path("/proc/self/fd")
_LOOK = os.O_RDONLY | os.O_CLOEXEC
_ENTER = _LOOK | os.O_DIRECTORY
# Opening a FIFO waits for its other end, and opening a terminal may make it the controlling one.
_READ = _LOOK | os.O_NONBLOCK | os.O_NOCTTY

_ABSENT = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,  # `a/b` where `a` is an object
        errno.EISDIR,
        errno.ENAMETOOLONG,
        errno.EINVAL,  # a name this file system cannot hold
        errno.ELOOP,
        errno.ENXIO,  # a socket
        errno.ENODEV,
    }
)
"""Errors of a name that holds no object; all others are failures."""


class ObjectFolder:
    """File operations below one root. All may block, and raise `NotFound` and `OSError`."""

    def __init__(self, root: Path, hidden: Sequence[str] = HIDDEN_PREFIXES) -> None:
        """Keys with a prefix in `hidden`, or a segment that begins with a dot, hold no object."""
        self.root = Path(os.path.realpath(root))
        self._hidden = tuple(hidden)

    def open(self, key: str) -> tuple[int, os.stat_result]:
        """Open an object for reading; the caller closes the descriptor."""
        path = self.root.joinpath(*self.names(key))
        descriptor = os.open(path, _READ)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise _no_object()
            self.real_path(descriptor, path)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor, status

    def names(self, key: str) -> list[str]:
        """Split a key into file names; raise `NotFound` if one of them is hidden or invalid.

        `parse_key` refuses most of these; this check does not rely on it.
        """
        parts = key.split("/")
        if any(not part or part.startswith(".") or "\0" in part for part in parts):
            raise _no_object()
        if not _is_text(key) or len(key.encode()) > MAX_KEY_BYTES:
            raise _no_object()
        require_visible(key, self._hidden)
        return parts

    @contextmanager
    def entered(self, parts: tuple[str, ...], *, make: bool = False) -> Iterator[int]:
        """Lend the descriptor of a folder below the root; `make` creates missing ones.

        It is entered step by step, so that nothing is created behind a link that leads outside.
        """
        path = self.root
        descriptor = os.open(path, _ENTER)
        try:
            for part in parts:
                path /= part
                outer, descriptor = descriptor, _step(descriptor, part, make=make)
                os.close(outer)
                self.real_path(descriptor, path)
            yield descriptor
        finally:
            os.close(descriptor)

    def real_path(self, descriptor: int, path: Path) -> Path:
        """Return the real path of an open file; raise `NotFound` unless it is served."""
        real = _real_path(descriptor, path)
        if not real.is_relative_to(self.root):
            raise _no_object()
        parts = real.relative_to(self.root).parts
        if any(part.startswith(".") for part in parts) or is_hidden("/".join((*parts, "")), self._hidden):
            raise _no_object()  # an innocent name may be a link to a hidden one
        return real

    def remove(self, key: str) -> None:
        """Remove an object, and the folders that it leaves empty."""
        *parents, name = self.names(key)
        with self.entered(tuple(parents)) as folder:
            os.unlink(name, dir_fd=folder)
            real = self.real_path(folder, self.root.joinpath(*parents))
        self._prune(real)

    def walk(self, prefix: str) -> Iterator[tuple[str, os.stat_result]]:
        """Yield every object whose key has this prefix, in order of key.

        Folders behind a link are not walked, for one may contain itself.
        """
        levels = [iter(self._children(""))]  # no recursion: a key may be 512 folders deep
        while levels:
            key = next(levels[-1], None)
            if key is None:
                levels.pop()
            elif key.endswith("/"):
                if key.startswith(prefix) or prefix.startswith(key):
                    levels.append(iter(self._children(key)))
            elif key.startswith(prefix) and (status := self._status(key)):
                yield key, status

    def _children(self, below: str) -> list[str]:
        """Return one folder's entries in order; folders end in '/', or `a-b` would follow `a/b`."""
        try:
            with os.scandir(self.root / below) as entries:
                found = [
                    f"{below}{entry.name}/" if entry.is_dir(follow_symlinks=False) else below + entry.name
                    for entry in entries
                    if not entry.name.startswith(".") and _is_text(entry.name)
                ]
                found = [key for key in found if not is_hidden(key, self._hidden)]
        except OSError as error:
            if not says_absent(error):
                raise
            return []  # removed since its parent was read, or never created
        return sorted(found)

    def _status(self, key: str) -> os.stat_result | None:
        try:
            descriptor, status = self.open(key)
        except NotFound:
            return None
        except OSError as error:
            if not says_absent(error):
                raise
            return None
        os.close(descriptor)
        return status

    def _prune(self, folder: Path) -> None:
        """Remove empty folders upwards, up to the first that is not empty."""
        with suppress(OSError):
            while folder != self.root:
                folder.rmdir()
                folder = folder.parent


def version(status: os.stat_result) -> str:
    """Return the version of a file's bytes; no inode is written twice here, so new bytes have a new one."""
    return f"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}"


def says_absent(error: OSError) -> bool:
    """Return whether an error means that a name holds no object, rather than that the lookup failed."""
    return error.errno in _ABSENT


@contextmanager
def translated() -> Iterator[None]:
    """Translate each `OSError` into `NotFound` or `StorageFailed`."""
    try:
        yield
    except OSError as error:
        if says_absent(error):
            raise _no_object() from error
        raise StorageFailed("the storage could not be read or written") from error


def _no_object() -> NotFound:
    return NotFound("no such object")


def _step(folder: int, name: str, *, make: bool) -> int:
    if make:
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=folder)
    return os.open(name, _ENTER, dir_fd=folder)


def _is_text(name: str) -> bool:
    """Return whether a name is UTF-8: Python decodes other bytes of a file name as lone surrogates."""
    try:
        os.fsencode(name).decode()
        name.encode()
    except UnicodeError:
        return False
    return True


def _real_path(descriptor: int, path: Path) -> Path:
    """Return the kernel's path of an open file.

    Without /proc the path is resolved again and must still name the opened file: a link exchanged in
    that moment may hide an object, and never exposes one.
    """
    try:
        return (_DESCRIPTORS / str(descriptor)).readlink()
    except FileNotFoundError:
        real = Path(os.path.realpath(path))
        if not os.path.samestat(real.lstat(), os.fstat(descriptor)):
            raise _no_object() from None
        return real
