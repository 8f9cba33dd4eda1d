"""Objects as files in one folder: `file://DIR`.

A file is written under `.uploads`, synced, and renamed into place, so readers see whole objects only.
Two limits come with files: `a` and `a/b` cannot both be objects, and no part of a key is longer than
255 bytes. The declared type of an object is not stored.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from imgproxy.errors import NotFound, StorageFailed
from imgproxy.image.source import Key
from imgproxy.storage import HIDDEN_PREFIXES, Head, OpenObject, StorageOptions
from imgproxy.storage.buffers import require_at_most
from imgproxy.storage.local.draft import DRAFTS, Draft, drafting, remove_stale_drafts, write_chunks
from imgproxy.storage.local.folder import ObjectFolder, version
from imgproxy.storage.local.multipart import PARTS, LocalMultipart
from imgproxy.storage.local.threads import Threads
from imgproxy.storage.signed_url import SignedUrlStorage, UrlSigner

PRIVATE_FOLDERS = (DRAFTS, PARTS)
"""Folders below the root with unfinished uploads; no other user should read them."""

_CHUNK = 256 * 1024
_LISTED = 256  # files described in one call while listing
_STALE_SECONDS = 3600  # no writer pauses that long: the gateway disconnects a silent client earlier


@dataclass(frozen=True, slots=True)
class LocalOptions(StorageOptions):
    """A folder."""

    scheme = "file"
    form = "file://DIR"

    root: Path

    @classmethod
    def parse(cls, rest: str) -> LocalOptions:
        """Take the text literally: nothing is decoded, and '?' begins no options."""
        if not rest or "\0" in rest:
            raise ValueError("expected a folder: file://./data/objects or file:///var/lib/objects")
        return cls(Path(rest))

    async def connect(
        self, url_signer: UrlSigner | None = None, hidden: Sequence[str] = HIDDEN_PREFIXES
    ) -> LocalStorage:
        return LocalStorage(self.root, url_signer, hidden=hidden)


class LocalStorage(SignedUrlStorage):
    """A flat space of keys in a folder; the first object creates it."""

    def __init__(
        self,
        root: Path,
        url_signer: UrlSigner | None = None,
        *,
        patience: float = 30.0,
        hidden: Sequence[str] = HIDDEN_PREFIXES,
    ) -> None:
        """Serve from `root`; each call of the disk may take `patience` seconds.

        Without `url_signer`, URLs are signed by a random secret.
        """
        self._folder = ObjectFolder(root, hidden)
        self._threads = Threads(patience)
        self.url_signer = url_signer or UrlSigner(secrets.token_bytes(32), clock=time.time)
        self._cleaned = float("-inf")
        self.multipart = LocalMultipart(self._folder, self._threads, self.url_signer)

    async def head(self, key: Key) -> Head:
        return await self._threads.run(self._head, key)

    async def open(self, key: Key, *, limit: int) -> OpenObject:
        return await self._threads.run(self._open, key, limit, late=OpenObject.close)

    async def read(self, key: Key, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        source = await self._threads.run(self._open, key, late=OpenObject.close)
        with source:  # closing a file that was only read does not wait for the disk
            stop = source.head.size if end is None else min(end, source.head.size)
            for position in range(start, stop, _CHUNK):
                size = min(_CHUNK, stop - position)
                chunk = await self._threads.run(os.pread, source.descriptor, size, position)
                if len(chunk) < size:
                    raise StorageFailed("the object ended before its announced length")
                yield chunk

    async def put(
        self,
        key: Key,
        chunks: AsyncIterator[bytes],
        *,
        content_type: str | None = None,  # noqa: ARG002 - a file has no place for it
    ) -> Head:
        async with drafting(self._threads, self._draft) as draft:
            await write_chunks(self._threads, chunks, draft)
            return _describe(await self._threads.run(draft.publish, key))

    async def copy(self, source: Key, target: Key) -> Head:
        """Copy a file within the kernel."""
        with await self._threads.run(self._open, source, late=OpenObject.close) as opened:
            async with drafting(self._threads, self._draft) as draft:
                start = 0
                while copied := await self._threads.run(draft.copy_from, opened.descriptor, start):
                    start += copied
                return _describe(await self._threads.run(draft.publish, target))

    async def delete(self, key: Key) -> None:
        try:
            await self._threads.run(self._folder.remove, key)
        except NotFound:
            return

    async def list(self, prefix: str = "") -> AsyncIterator[tuple[Key, Head]]:
        walk = self._folder.walk(prefix)
        while page := await self._threads.run(_take, walk):
            for key, status in page:
                yield Key(key), _describe(status)

    async def check(self) -> None:
        """Return if objects can be written."""
        try:
            async with drafting(self._threads, self._draft):
                return
        except StorageFailed as error:
            reason = getattr(error.__cause__, "strerror", "unknown reason")
            raise StorageFailed(f"cannot write to the folder {self._folder.root}: {reason}") from error

    async def close(self) -> None:
        self._threads.close()

    def _draft(self) -> Draft:
        """Begin a file; once an hour, first remove the drafts of processes that were killed."""
        now = time.monotonic()
        if now - self._cleaned > _STALE_SECONDS:
            self._cleaned = now
            remove_stale_drafts(self._folder, seconds=_STALE_SECONDS)
        return Draft(self._folder)

    def _open(self, key: Key, limit: int | None = None) -> OpenObject:
        descriptor, status = self._folder.open(key)
        opened = OpenObject(descriptor, _describe(status))
        if limit is not None and status.st_size > limit:
            opened.close()
            require_at_most(limit, status.st_size)
        return opened

    def _head(self, key: Key) -> Head:
        with self._open(key) as opened:
            return opened.head


def _take(walk: Iterator[tuple[str, os.stat_result]]) -> list[tuple[str, os.stat_result]]:
    return list(islice(walk, _LISTED))


def _describe(status: os.stat_result) -> Head:
    return Head(status.st_size, version(status), status.st_mtime)
