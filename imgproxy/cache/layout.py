"""Result files, `results/ab/<key>`, in a folder that other processes may share.

A file is written as `<key>.<random>` and renamed, so it is whole or absent; its time of change is that of the
last use. Calls may block and raise `OSError`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from imgproxy import file_modes
from imgproxy.cache.entry_format import decode, encode
from imgproxy.cache.key import ResultKey
from imgproxy.cache.lru_index import SAME_USE, ResultFile
from imgproxy.cache.tiers import Entry

SHARDS = tuple(f"{number:02x}" for number in range(256))

_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # opening a FIFO would wait for its other end
_LEFTOVER = 600 * 1_000_000_000  # nanoseconds; an unfinished file that is older belongs to a dead process


class ResultFolder:
    """Files of results, by key."""

    def __init__(
        self,
        root: Path,
        *,
        clock: Callable[[], int] = time.time_ns,
        statvfs: Callable[[Path], os.statvfs_result] = os.statvfs,
    ) -> None:
        """`clock` returns nanoseconds since 1970."""
        self._root = root
        self._clock = clock
        self._statvfs = statvfs

    def free_bytes(self) -> int:
        """Return the bytes that are free on the disk."""
        disk = self._statvfs(self._root)
        return disk.f_bavail * disk.f_frsize

    def read(self, key: ResultKey) -> Entry | None:
        """Return the result of a key; remove the file if it is broken."""
        try:
            file = os.open(self._path(key), _READ)
        except FileNotFoundError:
            return None
        try:
            found = os.fstat(file)
            entry = decode(key, os.pread(file, found.st_size, 0))
            if entry is not None and self._clock() - found.st_mtime_ns >= SAME_USE:
                with suppress(OSError):  # a disk that cannot be written can still be read
                    os.utime(file, ns=(self._clock(), self._clock()))
        except IsADirectoryError:
            entry = None
        finally:
            os.close(file)
        if entry is None:
            self.remove(key)
        return entry

    def write(self, key: ResultKey, entry: Entry) -> int:
        """Write a result, whole or not at all; return the size of its file."""
        path = self._path(key)
        temp = path.with_suffix(f".{secrets.token_hex(8)}")
        file_modes.make_folder(path.parent)
        pieces = encode(key, entry)
        try:
            temp.touch(file_modes.FILE, exist_ok=False)
            with temp.open("r+b") as file:
                file.writelines(pieces)
            temp.rename(path)
        except BaseException:
            temp.unlink(missing_ok=True)
            raise
        return sum(map(len, pieces))

    def remove(self, name: str) -> None:
        """Remove a result; another process may have removed it."""
        try:
            self._path(name).unlink(missing_ok=True)
        except (IsADirectoryError, PermissionError):
            shutil.rmtree(self._path(name), ignore_errors=True)

    def shard(self, shard: str) -> Iterator[ResultFile]:
        """Yield the results of one shard; remove unfinished files of processes that died."""
        with suppress(FileNotFoundError), os.scandir(self._root / "results" / shard) as entries:
            for each in entries:
                with suppress(FileNotFoundError):
                    found = each.stat(follow_symlinks=False)
                    if "." not in each.name and each.name.startswith(shard):
                        yield ResultFile(each.name, found.st_size, found.st_mtime_ns)
                    elif found.st_mtime_ns < self._clock() - _LEFTOVER:
                        Path(each).unlink()

    def remove_discarded(self) -> None:
        """Remove results whose purge epochs were lost, and those of an earlier layout."""
        for name in ("trash", "v1"):
            shutil.rmtree(self._root / name, ignore_errors=True)

    def _path(self, name: str) -> Path:
        return self._root / "results" / name[:2] / name
