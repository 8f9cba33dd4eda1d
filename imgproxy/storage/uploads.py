"""Uploads in parts, each a folder under `.parts` that nobody is served from: the blocking half.

    .parts/UPLOAD/key      the key that it was begun for
    .parts/UPLOAD/00001    a part, whole; one that comes again takes its place
    .parts/UPLOAD/00001-…  a part on its way, as long as it will be
    .parts/UPLOAD/…        the object being put together
    .parts/.UPLOAD         being made, or being removed

Whatever an upload needs lies in its folder, so that aborting it leaves nothing, wherever we died; and
an aborted one becomes no object any more.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from imgproxy import file_modes
from imgproxy.errors import NotFound, StorageFailed
from imgproxy.image.source import Key
from imgproxy.storage import BadParts, Part, UnfinishedUpload
from imgproxy.storage.assembly import refuse_parts_above
from imgproxy.storage.draft import DRAFTS, Draft, storing
from imgproxy.storage.folder import ObjectFolder, version

_PARTS = ".parts"
PRIVATE_FOLDERS = (DRAFTS, _PARTS)
"""Folders below the root that hold what is on its way; no other user should read them."""
_KEY = "key"
_ID = re.compile(r"[0-9a-f]{32}")
_SIZED = re.compile(r"([0-9]{5})(-[0-9a-f]{32})?", re.ASCII)
_NUMBER = re.compile(r"[0-9]{5}", re.ASCII)
_STALE = 3600.0  # seconds without a byte; the slowest client that is borne with fills a block in 1024


class PartsFolder:
    """Every call may block; `NotFound` is an upload that is not there, or is another key's."""

    def __init__(self, folder: ObjectFolder) -> None:
        self._folder = folder
        self._root = folder.root / _PARTS

    def begin(self, key: Key) -> str:
        """Make an upload's folder and return its id; it is seen when it is whole."""
        self._folder.names(key)
        upload = secrets.token_hex(16)
        made = self._hidden(upload)
        with storing():
            file_modes.make_folder(made)
            (made / _KEY).write_text(key, encoding="utf-8")
            made.rename(self._root / upload)
        return upload

    def draft(self, key: Key, upload: str) -> Draft:
        """Begin a file in an upload's folder."""
        place = self._find(key, upload)
        with _while_there(place):
            return Draft(self._folder, place)

    def part_draft(self, key: Key, upload: str, number: int) -> Draft:
        """Begin a part."""
        place = self._find(key, upload)
        with _while_there(place):
            return Draft(self._folder, place, prefix=f"{number:05}-")

    def reserve(self, draft: Draft, key: Key, upload: str, length: int, limit: int) -> None:
        """Let a part grow to `length` bytes, or raise `FileTooLarge`.

        Each process first shows its own length and then looks at all, so that of two parts that do not both
        fit, at least one is refused.
        """
        draft.reserve(length)
        refuse_parts_above(limit, _sizes(self._find(key, upload)))

    def keep(self, draft: Draft, key: Key, upload: str, number: int) -> Part:
        """Let a draft be a part."""
        with _while_there(self._find(key, upload)):
            return _part(number, draft.keep(f"{number:05}"))

    def held(self, key: Key, upload: str) -> dict[int, Part]:
        """Return what has arrived, by number and in order."""
        found = sorted(path for path in self._find(key, upload).iterdir() if _NUMBER.fullmatch(path.name))
        return {int(path.name): _part(int(path.name), path.stat()) for path in found}

    def append(self, draft: Draft, key: Key, upload: str, part: Part, start: int) -> int:
        """Append a stretch of a part to a draft, from its byte `start`; return how many bytes."""
        descriptor = os.open(self._find(key, upload) / f"{part.number:05}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if _part(part.number, os.fstat(descriptor)) != part:
                raise BadParts(f"part {part.number} was replaced while the object was put together")
            return draft.copy_from(descriptor, start)
        finally:
            os.close(descriptor)

    def publish(self, draft: Draft, key: Key, upload: str) -> None:
        """Let a draft be the object, and remove the upload."""
        with _while_there(self._find(key, upload)):
            draft.publish(key)
        self.remove(key, upload)

    def remove(self, key: Key, upload: str) -> None:
        """Throw an upload away; one that is not there counts as removed."""
        with suppress(NotFound, FileNotFoundError):
            self._find(key, upload).rename(self._hidden(upload))
            shutil.rmtree(self._hidden(upload), ignore_errors=True)

    def list(self, prefix: str) -> list[UnfinishedUpload]:
        """Every upload to a key that begins so; remove in passing what we died over and nobody can name."""
        found = []
        with suppress(FileNotFoundError):
            for draft in (self._folder.root / DRAFTS).iterdir():
                _forget(draft)
        with suppress(FileNotFoundError):
            for place in self._root.iterdir():
                if place.name.startswith("."):
                    _forget(place)
                elif (upload := _unfinished(place)) and upload.key.startswith(prefix):
                    found.append(upload)
        return found

    def _find(self, key: Key, upload: str) -> Path:
        place = self._root / upload
        if not _ID.fullmatch(upload) or (place / _KEY).read_text(encoding="utf-8") != key:
            raise _no_upload()
        return place

    def _hidden(self, upload: str) -> Path:
        return self._root / f".{upload}"


def _part(number: int, found: os.stat_result) -> Part:
    return Part(number, f'"{version(found)}"', found.st_size)


def _sizes(place: Path) -> Iterator[tuple[int, int]]:
    """Number and bytes of each part in an upload's folder, kept or on its way."""
    with os.scandir(place) as entries:
        for entry in entries:
            if named := _SIZED.fullmatch(entry.name):
                with suppress(FileNotFoundError):  # it was kept, or given up, meanwhile
                    yield int(named[1]), entry.stat().st_size


def _unfinished(place: Path) -> UnfinishedUpload | None:
    """Describe an upload; None if it has ended meanwhile."""
    with suppress(FileNotFoundError):
        begun = (place / _KEY).stat().st_mtime
        return UnfinishedUpload(Key((place / _KEY).read_text(encoding="utf-8")), place.name, begun)
    return None


def _forget(place: Path) -> None:
    with suppress(FileNotFoundError):
        if time.time() - place.stat().st_mtime > _STALE:
            shutil.rmtree(place, ignore_errors=True) if place.is_dir() else place.unlink()


@contextmanager
def _while_there(place: Path) -> Iterator[None]:
    """Tell an upload that was aborted meanwhile from a storage that fails."""
    try:
        yield
    except StorageFailed:
        if not place.exists():
            raise _no_upload() from None
        raise


def _no_upload() -> NotFound:
    return NotFound("no such upload")
