"""A folder nobody climbs out of: the blocking half of `local`.

Where a path leads is decided after it was opened, by asking the kernel where the descriptor really
lies: a symbolic link exchanged between a check and its use has nothing left to change. Links that stay
inside are followed; what lies outside, and every name that begins with a dot, is not there.
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
from imgproxy.storage.hidden import HIDDEN_PREFIXES, is_hidden, require_visible

_DESCRIPTORS = Path("/proc/self/fd")
_LOOK = os.O_RDONLY | os.O_CLOEXEC
_ENTER = _LOOK | os.O_DIRECTORY
# Opening a FIFO waits for its other end, and opening a terminal may take it over: neither for us.
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
"""What the system says of a name that holds no object; everything else is a fault."""


class ObjectFolder:
    """File operations below one root. Every one may block; `NotFound` and `OSError` come out."""

    def __init__(self, root: Path, hidden: Sequence[str] = HIDDEN_PREFIXES) -> None:
        """`hidden` are the prefixes of keys that hold no object, besides all that begins with a dot."""
        self.root = Path(os.path.realpath(root))
        self._hidden = tuple(hidden)

    def open(self, key: str) -> tuple[int, os.stat_result]:
        """Open an object for reading; whoever called closes the descriptor."""
        path = self.root.joinpath(*self.names(key))
        descriptor = os.open(path, _READ)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise _no_object()
            self.whereabouts(descriptor, path)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor, found

    def names(self, key: str) -> list[str]:
        """Split a key into file names; raise `NotFound` if one of them is hidden, or is no name.

        `parse_key` refuses most of these. This is the last wall, and it does not lean on the first.
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
        """Lend the descriptor of a folder below the root, made on the way if asked for.

        It is entered step by step, so that nothing is ever made behind a link that leads out.
        """
        path = self.root
        descriptor = os.open(path, _ENTER)
        try:
            for part in parts:
                path /= part
                outer, descriptor = descriptor, _step(descriptor, part, make=make)
                os.close(outer)
                self.whereabouts(descriptor, path)
            yield descriptor
        finally:
            os.close(descriptor)

    def whereabouts(self, descriptor: int, path: Path) -> Path:
        """Return where an open file really lies; raise `NotFound` unless we serve from there."""
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
            real = self.whereabouts(folder, self.root.joinpath(*parents))
        self._prune(real)

    def walk(self, prefix: str) -> Iterator[tuple[str, os.stat_result]]:
        """Every object whose key begins with `prefix`, in order of key.

        Folders behind a link are not walked, for one may contain itself.
        """
        levels = [iter(self._children(""))]  # a stack of our own: 512 folders deep is a key, too
        while levels:
            key = next(levels[-1], None)
            if key is None:
                levels.pop()
            elif key.endswith("/"):
                if key.startswith(prefix) or prefix.startswith(key):
                    levels.append(iter(self._children(key)))
            elif key.startswith(prefix) and (found := self._describe(key)):
                yield key, found

    def _children(self, below: str) -> list[str]:
        """Return what one folder holds, in order; folders end in '/', or `a-b` would follow `a/b`."""
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
            return []  # removed since its parent was read; or nothing was ever stored
        return sorted(found)

    def _describe(self, key: str) -> os.stat_result | None:
        try:
            descriptor, found = self.open(key)
        except NotFound:
            return None
        except OSError as error:
            if not says_absent(error):
                raise
            return None
        os.close(descriptor)
        return found

    def _prune(self, folder: Path) -> None:
        """Remove empty folders upwards, up to the first that is not empty any more."""
        with suppress(OSError):
            while folder != self.root:
                folder.rmdir()
                folder = folder.parent


def version(found: os.stat_result) -> str:
    """Name the bytes of a file. An inode is never written twice here, so a new one says they have changed."""
    return f"{found.st_mtime_ns:x}-{found.st_size:x}-{found.st_ino:x}"


def says_absent(error: OSError) -> bool:
    """Say whether the system has found that a name holds no object, rather than failed to look."""
    return error.errno in _ABSENT


@contextmanager
def translated() -> Iterator[None]:
    """Let no `OSError` out: the name holds nothing, or the storage has failed."""
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
    """Say whether a name is whole Unicode: Python spells other bytes of a file name as lone surrogates."""
    try:
        os.fsencode(name).decode()
        name.encode()
    except UnicodeError:
        return False
    return True


def _real_path(descriptor: int, path: Path) -> Path:
    """Ask the kernel where an open file lies.

    Without /proc the path is resolved again and must still name the file that was opened: a link
    exchanged in that moment may hide an object, and does not show one.
    """
    try:
        return (_DESCRIPTORS / str(descriptor)).readlink()
    except FileNotFoundError:
        real = Path(os.path.realpath(path))
        if not os.path.samestat(real.lstat(), os.fstat(descriptor)):
            raise _no_object() from None
        return real
