"""Purge epochs: numbers in every cache key, so that raising one makes all results of a source unreachable.

Sources share 2**18 numbers by a hash of their keys, so the size is fixed, and a purge may forget a few
results of other sources.

The event loop reads the numbers in memory. Where results lie on disk, a file beside them is the truth for
all processes that share the folder, and for the next start:

- A purge is recorded in the file and synced, then applied in every process, then answered.
- Each read of a result compares both, so a process that missed a purge learns of it and has a miss.
- Numbers never fall. If the file is lost, results may be older than a forgotten purge, so all are discarded;
  processes that still know the numbers write them into the new file, which they recognise by its id.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import sys
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from zlib import crc32

from imgproxy import file_modes

_NUMBERS = 2**18
_EMPTY = array("I", bytes(array("I").itemsize * _NUMBERS))
_ID = 8  # random bytes at the beginning of the file


class PurgeEpochs:
    """The number of each source: in memory, and in a folder if there is one. Methods but `of` may block."""

    def __init__(self, folder: Path | None = None) -> None:
        """Load the numbers; a folder that cannot be used is tried again with each purge and `prepare`."""
        self._folder = folder
        self._numbers = _EMPTY[:]
        self._id = b""
        self._lock = Lock()
        with suppress(OSError):
            self.prepare()

    def of(self, key: str) -> int:
        """Return the number of a source."""
        return self._numbers[_index(key)]

    def record(self, key: str) -> None:
        """Raise the stored number of a source; raise `OSError` unless it will survive a power cut."""
        if self._folder is not None:
            with self._opened(self._folder) as file:
                self._store(file, _index(key))

    def apply(self, key: str, number: int = 0) -> None:
        """Take a recorded number into memory; raise `OSError` if only memory could be raised.

        Without a folder `number` is taken, which is larger than of all purges before; 0 counts up.
        """
        index, known = _index(key), self._id
        before = self._numbers[index]
        try:
            if self._folder is None:
                self._raise(index, number or before + 1)
                return
            with self._opened(self._folder) as file:
                if self._id != known:  # the file was lost: the new one may have been behind this process
                    self._store(file, index)
                self._raise(index, _stored(file, index))
        except OSError:
            self._raise(index, before + 1)
            raise

    def are_current(self, keys: Iterable[str]) -> bool:
        """Return whether memory knows the last purge of each source; learn of it if not."""
        if self._folder is None:
            return True
        file = os.open(self._folder / "epochs", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if os.pread(file, _ID, 0) != self._id:
                return False
            learned = [self._raise(index, _stored(file, index)) for index in map(_index, keys)]
            return not any(learned)
        finally:
            os.close(file)

    def prepare(self) -> None:
        """Create the file if it is missing, and load it if it is another than before."""
        if self._folder is not None:
            with self._opened(self._folder):
                pass

    @contextmanager
    def _opened(self, folder: Path) -> Iterator[int]:
        """Lend the file, locked against other processes and not behind this one."""
        file_modes.make_folder(folder)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, file_modes.FILE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _is_whole(folder / "epochs"):
                self._create(folder)
            file = os.open(folder / "epochs", os.O_RDWR | os.O_CLOEXEC)
            try:
                self._merge(file)
                yield file
            finally:
                os.close(file)
        finally:
            os.close(lock)

    def _create(self, folder: Path) -> None:
        file_modes.make_folder(folder / "trash")
        with suppress(FileNotFoundError):
            (folder / "results").rename(folder / "trash" / secrets.token_hex(8))
        temp = folder / "epochs.new"
        temp.touch(file_modes.FILE)
        temp.write_bytes(secrets.token_bytes(_ID) + self._numbers.tobytes())
        temp.rename(folder / "epochs")

    def _merge(self, file: int) -> None:
        id_ = os.pread(file, _ID, 0)
        if id_ == self._id:
            return
        stored = array("I", os.pread(file, len(_EMPTY) * _EMPTY.itemsize, _ID))
        with self._lock:
            merged = array("I", map(max, self._numbers, stored))
            if merged != stored:
                os.pwrite(file, merged.tobytes(), _ID)
            self._numbers, self._id = merged, id_

    def _store(self, file: int, index: int) -> None:
        number = max(self._numbers[index], _stored(file, index)) + 1
        os.pwrite(file, number.to_bytes(_EMPTY.itemsize, sys.byteorder), _ID + index * _EMPTY.itemsize)
        os.fdatasync(file)

    def _raise(self, index: int, number: int) -> bool:
        """Raise a number in memory; return whether it was lower."""
        with self._lock:
            lower = self._numbers[index] < number
            if lower:
                self._numbers[index] = number
            return lower


def _is_whole(path: Path) -> bool:
    """Return whether a file is there and was not cut short by a power cut."""
    return path.exists() and path.stat().st_size == _ID + len(_EMPTY) * _EMPTY.itemsize


def _index(key: str) -> int:
    return crc32(key.encode("utf-8", "surrogatepass")) % _NUMBERS


def _stored(file: int, index: int) -> int:
    return int.from_bytes(os.pread(file, _EMPTY.itemsize, _ID + index * _EMPTY.itemsize), sys.byteorder)
