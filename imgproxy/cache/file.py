"""One file at a time, in a folder that others change as well: what they removed first is no error."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from imgproxy import file_modes

_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # opening a FIFO would wait for its other end
_ENTER = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """Lend the descriptor of a file to read."""
    descriptor = os.open(path, _READ)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def entered(path: Path) -> Iterator[int]:
    """Lend the descriptor of a folder, made if it is not there."""
    file_modes.make_folder(path)
    descriptor = os.open(path, _ENTER)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read(descriptor: int, size: int) -> bytes:
    """The first bytes of a file; fewer, if there are fewer."""
    return os.pread(descriptor, size, 0)


def write(path: Path, pieces: Sequence[bytes]) -> int:
    """Write a new file that its owner alone can read; return its size."""
    descriptor = os.open(path, _CREATE, file_modes.FILE)
    try:
        for piece in pieces:
            view = memoryview(piece)
            while view:
                view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)
    return sum(len(piece) for piece in pieces)


def link(path: Path, name: str, folder: int) -> None:
    """Give a file one more name, in a folder that was entered, in place of what had it."""
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
    os.link(path, name, dst_dir_fd=folder)


def move(path: Path, target: Path) -> bool:
    """Give a file or a folder another name; False if it is not there."""
    try:
        path.rename(target)
    except FileNotFoundError:
        return False
    return True


def unlink(path: Path) -> None:
    """Remove what should be a file, whatever it is."""
    try:
        path.unlink(missing_ok=True)
    except IsADirectoryError:
        shutil.rmtree(path, ignore_errors=True)


def unlink_same(path: Path, found: os.stat_result) -> None:
    """Remove a name if it is one of this very file."""
    with suppress(FileNotFoundError):
        if os.path.samestat(path.lstat(), found):
            path.unlink()


def rmdir(path: Path) -> bool:
    """Remove a folder if it is empty; whether it is gone."""
    try:
        path.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def listed(path: Path) -> list[Path]:
    """What a folder holds; nothing, if it is none or is gone."""
    try:
        return list(path.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def older(path: Path, moment: int) -> bool:
    """Whether a file was written before a moment, or is not there."""
    try:
        return path.stat().st_mtime_ns < moment
    except FileNotFoundError:
        return True
