"""Uploads in parts, each a folder under `.parts` that is never served.

    .parts/UPLOAD/key      the key
    .parts/UPLOAD/00001    a whole part; a resent one replaces it
    .parts/UPLOAD/00001-…  an arriving part, at its final length
    .parts/UPLOAD/…        the object being joined
    .parts/.UPLOAD         an upload being created or removed

All files of an upload lie in its folder. So aborting it leaves nothing, also after a crash, and an aborted
upload never becomes an object. Parts are joined within the kernel; none is ever in memory.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from imgproxy import file_modes
from imgproxy.errors import NotFound, StorageFailed
from imgproxy.image.source import Key
from imgproxy.storage import BadParts, Part, UnfinishedUpload
from imgproxy.storage.local.draft import DRAFTS, Draft, drafting, storing, write_chunks
from imgproxy.storage.local.folder import ObjectFolder, version
from imgproxy.storage.local.threads import Threads
from imgproxy.storage.part_rules import require_part_number, require_parts_at_most, select_parts
from imgproxy.storage.signed_url import UrlSigner

PARTS = ".parts"
_KEY = "key"
_ID = re.compile(r"[0-9a-f]{32}")
_SIZED = re.compile(r"([0-9]{5})(-[0-9a-f]{32})?", re.ASCII)
_NUMBER = re.compile(r"[0-9]{5}", re.ASCII)
_STALE = 3600.0  # seconds without a byte; the slowest accepted client fills a block in 1024


class LocalMultipart:
    """`storage.Multipart` over `PartsFolder`, in threads."""

    def __init__(self, folder: ObjectFolder, threads: Threads, url_signer: UrlSigner) -> None:
        self._uploads = PartsFolder(folder)
        self._threads = threads
        self._url_signer = url_signer

    async def begin(
        self,
        key: Key,
        *,
        content_type: str | None = None,  # noqa: ARG002 - a file has no place for it
    ) -> str:
        return await self._threads.run(self._uploads.begin, key)

    async def presign(
        self, key: Key, upload: str, *, number: int, expires: int, limit: int | None = None
    ) -> str:
        return self._url_signer.presign_part(key, upload, number=number, expires=expires, limit=limit)

    async def receive(
        self,
        key: Key,
        upload: str,
        *,
        number: int,
        chunks: AsyncIterator[bytes],
        length: int = 0,
        limit: int | None = None,
    ) -> Part:
        """Store one part after its last chunk, replacing one of its number.

        Before the first chunk is read, `length` bytes are reserved within the `limit` of all parts.
        """
        require_part_number(number)
        async with drafting(self._threads, self._uploads.part_draft, key, upload, number) as draft:
            if limit is not None:
                await self._threads.run(self._uploads.reserve, draft, key, upload, length, limit)
            await write_chunks(self._threads, chunks, draft)
            return await self._threads.run(self._uploads.keep, draft, key, upload, number)

    async def parts(self, key: Key, upload: str) -> list[Part]:
        return list((await self._threads.run(self._uploads.received, key, upload)).values())

    async def complete(self, key: Key, upload: str, parts: Iterable[Part]) -> None:
        """Join the parts; of two concurrent calls the later raises `NotFound`."""
        selected = select_parts(parts, await self._threads.run(self._uploads.received, key, upload))
        async with drafting(self._threads, self._uploads.draft, key, upload) as draft:
            for part in selected:
                await self._append(draft, key, upload, part)
            await self._threads.run(self._uploads.publish, draft, key, upload)

    async def abort(self, key: Key, upload: str) -> None:
        await self._threads.run(self._uploads.remove, key, upload)

    async def list(self, prefix: str = "") -> AsyncIterator[UnfinishedUpload]:
        for upload in await self._threads.run(self._uploads.list, prefix):
            yield upload

    async def _append(self, draft: Draft, key: Key, upload: str, part: Part) -> None:
        start = 0
        while start < part.size:
            copied = await self._threads.run(self._uploads.append, draft, key, upload, part, start)
            if not copied:
                raise StorageFailed("a part ended before its length")
            start += copied


class PartsFolder:
    """The folders of uploads. Every call may block; `NotFound` is an absent upload, or another key's."""

    def __init__(self, folder: ObjectFolder) -> None:
        self._folder = folder
        self._root = folder.root / PARTS

    def begin(self, key: Key) -> str:
        """Create an upload's folder, visible when it is whole, and return the upload's id."""
        self._folder.names(key)
        upload = secrets.token_hex(16)
        created = self._hidden(upload)
        with storing():
            file_modes.make_folder(created)
            (created / _KEY).write_text(key, encoding="utf-8")
            created.rename(self._root / upload)
        return upload

    def draft(self, key: Key, upload: str, *, prefix: str = "") -> Draft:
        """Begin a file in an upload's folder."""
        place = self._find(key, upload)
        with _while_present(place):
            return Draft(self._folder, place, prefix=prefix)

    def part_draft(self, key: Key, upload: str, number: int) -> Draft:
        """Begin a part."""
        return self.draft(key, upload, prefix=f"{number:05}-")

    def reserve(self, draft: Draft, key: Key, upload: str, length: int, limit: int) -> None:
        """Let a part grow to `length` bytes, or raise `FileTooLarge`.

        Each process first publishes its own length and then counts all, so that of two parts that do not
        both fit, at least one is refused.
        """
        draft.reserve(length)
        require_parts_at_most(limit, _sizes(self._find(key, upload)))

    def keep(self, draft: Draft, key: Key, upload: str, number: int) -> Part:
        """Turn a draft into a part."""
        with _while_present(self._find(key, upload)):
            return _part(number, draft.keep(f"{number:05}"))

    def received(self, key: Key, upload: str) -> dict[int, Part]:
        """Return the whole parts by number, in order."""
        paths = sorted(path for path in self._find(key, upload).iterdir() if _NUMBER.fullmatch(path.name))
        return {int(path.name): _part(int(path.name), path.stat()) for path in paths}

    def append(self, draft: Draft, key: Key, upload: str, part: Part, start: int) -> int:
        """Append a stretch of a part from its byte `start`; return the stretch's bytes."""
        descriptor = os.open(self._find(key, upload) / f"{part.number:05}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if _part(part.number, os.fstat(descriptor)) != part:
                raise BadParts(f"part {part.number} was replaced while the object was put together")
            return draft.copy_from(descriptor, start)
        finally:
            os.close(descriptor)

    def publish(self, draft: Draft, key: Key, upload: str) -> None:
        """Turn a draft into the object, and remove the upload."""
        with _while_present(self._find(key, upload)):
            draft.publish(key)
        self.remove(key, upload)

    def remove(self, key: Key, upload: str) -> None:
        """Remove an upload; an absent one is success."""
        with suppress(NotFound, FileNotFoundError):
            self._find(key, upload).rename(self._hidden(upload))
            shutil.rmtree(self._hidden(upload), ignore_errors=True)

    def list(self, prefix: str) -> list[UnfinishedUpload]:
        """Return every upload to a key with this prefix; first remove the stale files of crashes."""
        found = []
        with suppress(FileNotFoundError):
            for draft in (self._folder.root / DRAFTS).iterdir():
                _remove_stale(draft)
        with suppress(FileNotFoundError):
            for place in self._root.iterdir():
                if place.name.startswith("."):
                    _remove_stale(place)
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


def _part(number: int, status: os.stat_result) -> Part:
    return Part(number, f'"{version(status)}"', status.st_size)


def _sizes(place: Path) -> Iterator[tuple[int, int]]:
    """Yield number and bytes of each part in an upload's folder, whole or arriving."""
    with os.scandir(place) as entries:
        for entry in entries:
            if named := _SIZED.fullmatch(entry.name):
                with suppress(FileNotFoundError):  # stored or discarded since
                    yield int(named[1]), entry.stat().st_size


def _unfinished(place: Path) -> UnfinishedUpload | None:
    """Return an upload; None if it has ended since."""
    with suppress(FileNotFoundError):
        begun = (place / _KEY).stat().st_mtime
        return UnfinishedUpload(Key((place / _KEY).read_text(encoding="utf-8")), place.name, begun)
    return None


def _remove_stale(place: Path) -> None:
    with suppress(FileNotFoundError):
        if time.time() - place.stat().st_mtime > _STALE:
            shutil.rmtree(place, ignore_errors=True) if place.is_dir() else place.unlink()


@contextmanager
def _while_present(place: Path) -> Iterator[None]:
    """Raise `NotFound` instead of a failure for an upload that was aborted meanwhile."""
    try:
        yield
    except StorageFailed:
        if not place.exists():
            raise _no_upload() from None
        raise


def _no_upload() -> NotFound:
    return NotFound("no such upload")
