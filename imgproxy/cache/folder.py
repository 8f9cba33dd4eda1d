"""Results as files in one folder, which other processes may share: the blocking half of `disk`.

    v1/ab/<sha256 of a source>/<key>          a result, in the home of its primary source
    v1/cd/<sha256 of a source>/<key>.layer    the same file once more, in the home of each further source
    temp/                                     files not yet whole
    trash/                                    homes that were dropped and are being removed
    drops/<sha256 of a source>                when it was last dropped

A result stands only while every name of it does: `read` asks for the same file (a hard link, so neither
space nor an inode) in the home of each further source. So a drop is one rename, of the source's home into
the trash, and from then on nothing made of that source is read by any process, whoever else has a part in
it. Removing the files comes later and may be left to another process after a crash.

Why a write that was begun before a drop cannot outlive it: the write opens the homes first, then looks
whether a drop was noted since it was begun, and only then names its file, inside the homes it has opened.
The drop notes itself first and renames then. So either the write sees the note, or the homes that it has
opened are those that the drop renames, and what it names there goes to the trash. The times compared are
those of the machine's clock, so processes on several machines must have theirs set alike.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from hashlib import sha256
from pathlib import Path

from imgproxy import file_modes
from imgproxy.cache import file
from imgproxy.cache.key import ResultKey
from imgproxy.cache.ledger import SAME_USE, Seen
from imgproxy.cache.sealed import Broken, Label, read_label, seal, unseal
from imgproxy.cache.tiers import Entry

SHARDS = tuple(f"{number:02x}" for number in range(256))

_LAYER = ".layer"
_RACES = 10  # each lost one means that a neighbour removed a home just as we were about to use it
_LABEL = 4096  # bytes that nearly every header fits into
_SECOND = 1_000_000_000
_LEFTOVER = 600 * _SECOND  # a file in `temp` that is older was left by a process that died
_LONGEST_WRITE = _LEFTOVER // 2  # then it is given up, while the note of any drop since is still there


class Folder:
    """Files of results. Every call may block, from any thread; `OSError` comes out."""

    def __init__(
        self,
        root: Path,
        *,
        clock: Callable[[], int] = time.time_ns,
        statvfs: Callable[[Path], os.statvfs_result] = os.statvfs,
    ) -> None:
        """Keep files below `root`, by a clock that tells nanoseconds since 1970."""
        self._clock = clock
        self._statvfs = statvfs
        self._root = root
        self._results = root / "v1"
        self._temp = root / "temp"
        self._trash = root / "trash"
        self._drops = root / "drops"

    def prepare(self) -> None:
        """Make the folder; needed again if somebody has emptied it."""
        for path in (self._results, self._temp, self._trash, self._drops):
            file_modes.make_folder(path)

    def space(self) -> int:
        """The bytes that are free on the disk."""
        disk = self._statvfs(self._root)
        return disk.f_bavail * disk.f_frsize

    def read(self, key: ResultKey, source: str) -> Entry | None:
        """The result of this key in the home of its primary source; remove it if it is broken."""
        path = self._path(name_of(key, source))
        try:
            with file.opened(path) as descriptor:
                found = os.fstat(descriptor)
                entry = unseal(key, file.read(descriptor, found.st_size))
                if entry.primary != source:
                    raise Broken("the file belongs to another source")
                if not self._stands(key, entry.sources, found):
                    return None
                self._note_use(descriptor, found)
                return entry
        except FileNotFoundError:
            return None
        except (Broken, IsADirectoryError):
            self.discard(path)
            return None

    def write(self, key: ResultKey, entry: Entry, *, begun: int) -> int | None:
        """Store a result, whole or not at all; its size, or None if a source was dropped since `begun`."""
        self.prepare()
        temp = self._temp / secrets.token_hex(16)
        landed = False
        try:
            size = file.write(temp, seal(key, entry))
            landed = self._land(temp, key, entry.sources, begun)
        finally:
            if not landed:
                self.discard(temp)
        return size if landed else None

    def drop(self, source: str) -> Path | None:
        """Take away every result that a source is part of; what is left to `clear`, if anything."""
        self.prepare()
        home, trash = home_of(source), self._trash / secrets.token_hex(16)
        try:
            self._note_drop(home)
        finally:  # a disk too full for the note has room for the rename
            moved = file.move(self._path(home), trash)
        return trash if moved else None

    def clear(self, trash: Path) -> Iterator[str]:
        """Remove a home from the trash with all that stood in it; the names of the results."""
        for _ in range(_RACES):  # a write that had opened the home may still put something there
            for path in file.listed(trash):
                name = self.discard(path)
                if name is not None:
                    yield name
            if file.rmdir(trash):
                return

    def discard(self, path: Path) -> str | None:
        """Remove a file under each of its names; the result's own name, if the file still tells it."""
        label = found = None
        with suppress(OSError, Broken):
            label, found = _look(path)
        if label is not None and found is not None:
            for other in _layers(label.key, label.sources):
                file.unlink_same(self._path(other), found)
            file.unlink_same(self._path(_own(label)), found)
        file.unlink(path)
        return None if label is None else _own(label)

    def remove(self, name: str) -> None:
        """Remove a result, and its home if it was the last there."""
        path = self._path(name)
        self.discard(path)
        file.rmdir(path.parent)

    def shard(self, shard: str) -> Iterator[Seen]:
        """What lies in one of the 256 parts of the folder."""
        for home in file.listed(self._results / shard):
            paths = file.listed(home)
            if not paths:
                file.rmdir(home)
            for path in paths:
                if seen := self._see(path):
                    yield seen

    def clear_leftovers(self) -> Iterator[str]:
        """Finish what processes that died have begun; the names of results that went with it."""
        before = self._clock() - _LEFTOVER
        for path in file.listed(self._temp):
            if file.older(path, before):
                self.discard(path)
        for path in file.listed(self._drops):
            if file.older(path, before):
                file.unlink(path)
        for path in file.listed(self._trash):
            yield from self.clear(path)

    def _path(self, name: str) -> Path:
        return self._results / name[:2] / name

    def _see(self, path: Path) -> Seen | None:
        with suppress(FileNotFoundError):
            found = path.lstat()
            if not path.suffix:
                return Seen(f"{path.parent.name}/{path.name}", found.st_size, found.st_mtime_ns)
            if path.suffix == _LAYER and found.st_nlink == 1:
                path.unlink()  # the result itself was removed by somebody who could not read its header
        return None

    def _land(self, temp: Path, key: ResultKey, sources: Sequence[str], begun: int) -> bool:
        """Give a file its names; False if a source was dropped. The order is argued for at the top."""
        homes = _homes(sources)
        for _ in range(_RACES):
            try:
                with ExitStack() as stack:
                    own, *others = [stack.enter_context(file.entered(self._path(home))) for home in homes]
                    if self._clock() - begun > _LONGEST_WRITE or self._dropped_since(begun, homes):
                        return False
                    for other in others:
                        file.link(temp, key + _LAYER, other)
                    # Last, and out of `temp`: whoever cleans up there finds the links of a dead process.
                    os.rename(temp, key, dst_dir_fd=own)
                    return True
            except (FileNotFoundError, FileExistsError):
                continue
        raise FileNotFoundError("neighbours keep removing the home of the result")

    def _stands(self, key: ResultKey, sources: Sequence[str], found: os.stat_result) -> bool:
        try:
            return all(os.path.samestat(self._path(other).lstat(), found) for other in _layers(key, sources))
        except FileNotFoundError:
            return False

    def _note_use(self, descriptor: int, found: os.stat_result) -> None:
        now = self._clock()
        if now - found.st_mtime_ns >= SAME_USE:
            with suppress(OSError):  # a disk that cannot be written can still be read
                os.utime(descriptor, ns=(now, now))

    def _note_drop(self, home: str) -> None:
        path, now = self._drops / home, self._clock()
        path.touch(file_modes.FILE)
        os.utime(path, ns=(now, now))

    def _dropped_since(self, begun: int, homes: Sequence[str]) -> bool:
        return any(not file.older(self._drops / home, begun) for home in homes)


def home_of(source: str) -> str:
    """The name of the folder for what is made of a source."""
    return sha256(source.encode("utf-8", "surrogatepass")).hexdigest()


def name_of(key: ResultKey, source: str) -> str:
    """The name of a result whose primary source is this one."""
    return f"{home_of(source)}/{key}"


def _own(label: Label) -> str:
    return name_of(label.key, label.sources[0] if label.sources else "")


def _homes(sources: Sequence[str]) -> list[str]:
    """The homes of a result, its own first."""
    return list(dict.fromkeys(home_of(source) for source in sources or ("",)))


def _layers(key: ResultKey, sources: Sequence[str]) -> list[str]:
    """The further names of a result."""
    return [f"{home}/{key}{_LAYER}" for home in _homes(sources)[1:]] if len(sources) > 1 else []


def _look(path: Path) -> tuple[Label, os.stat_result]:
    """What a file says of itself; raise `Broken` if that cannot be read."""
    with file.opened(path) as descriptor:
        found = os.fstat(descriptor)
        label = read_label(file.read(descriptor, _LABEL)) or read_label(file.read(descriptor, found.st_size))
    if label is None:
        raise Broken("the file ends within its header")
    return label, found
