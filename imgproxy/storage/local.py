"""Objects as files in one folder.

What is seen is whole: a file is written under `.uploads`, brought to disk, and renamed into place.
Two limits come with files: `a` and `a/b` cannot both be objects, and no part of a key is longer than
255 bytes. What the type of an object was said to be is not kept.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import islice
from pathlib import Path

from imgproxy.errors import NotFound, StorageFailed
from imgproxy.image.source import Key
from imgproxy.storage import Head, OpenObject
from imgproxy.storage.draft import Draft, drafting, forget_drafts, pour
from imgproxy.storage.folder import ObjectFolder, version
from imgproxy.storage.hidden import HIDDEN_PREFIXES
from imgproxy.storage.local_multipart import LocalMultipart
from imgproxy.storage.memfd import refuse_above
from imgproxy.storage.signed_url import SignedUrlStorage, UrlSigner
from imgproxy.storage.threads import Threads

_CHUNK = 256 * 1024
_LISTED = 256  # looked up at once while listing
_ABANDONED_SECONDS = 3600  # no writer is silent for as long: a client would have been sent away


class LocalStorage(SignedUrlStorage):
    """A flat space of keys in a folder, which is made by the first object put."""

    def __init__(
        self,
        root: Path,
        url_signer: UrlSigner | None = None,
        *,
        patience: float = 30.0,
        hidden: Sequence[str] = HIDDEN_PREFIXES,
    ) -> None:
        """Serve from `root`, waiting `patience` seconds for any one call of the disk.

        Without `url_signer`, URLs are signed by a secret that nobody else knows.
        """
        self._folder = ObjectFolder(root, hidden)
        self._threads = Threads(patience)
        self.url_signer = url_signer or UrlSigner(secrets.token_bytes(32), clock=time.time)
        self._tidied = float("-inf")
        self.multipart = LocalMultipart(self._folder, self._threads, self.url_signer)

    async def head(self, key: Key) -> Head:
        """Describe an object."""
        return await self._threads.run(self._head, key)

    async def open(self, key: Key, *, limit: int) -> OpenObject:
        """Hand out the file itself."""
        return await self._threads.run(self._open, key, limit, late=OpenObject.close)

    async def read(self, key: Key, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Stream bytes `start` to `end`."""
        original = await self._threads.run(self._open, key, late=OpenObject.close)
        with original:  # closing a file that was only read does not wait for the disk
            stop = original.head.size if end is None else min(end, original.head.size)
            for position in range(start, stop, _CHUNK):
                size = min(_CHUNK, stop - position)
                chunk = await self._threads.run(os.pread, original.descriptor, size, position)
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
        """Store an object, whole or not at all."""
        async with drafting(self._threads, self._draft) as draft:
            await pour(self._threads, chunks, draft)
            return _head(await self._threads.run(draft.publish, key))

    async def copy(self, source: Key, target: Key) -> Head:
        """Copy a file within the kernel."""
        with await self._threads.run(self._open, source, late=OpenObject.close) as original:
            async with drafting(self._threads, self._draft) as draft:
                start = 0
                while copied := await self._threads.run(draft.copy_from, original.descriptor, start):
                    start += copied
                return _head(await self._threads.run(draft.publish, target))

    async def delete(self, key: Key) -> None:
        """Remove an object; one that is not there counts as removed."""
        try:
            await self._threads.run(self._folder.remove, key)
        except NotFound:
            return

    async def list(self, prefix: str = "") -> AsyncIterator[tuple[Key, Head]]:
        """Every object whose key begins with `prefix`, in order of key."""
        walk = self._folder.walk(prefix)
        while page := await self._threads.run(_take, walk):
            for key, found in page:
                yield Key(key), _head(found)

    async def check(self) -> None:
        """Return if objects can be written here."""
        try:
            async with drafting(self._threads, self._draft):
                return
        except StorageFailed as error:
            reason = getattr(error.__cause__, "strerror", "unknown reason")
            raise StorageFailed(f"cannot write to the folder {self._folder.root}: {reason}") from error

    async def close(self) -> None:
        """Let the threads end."""
        self._threads.close()

    def _draft(self) -> Draft:
        """Begin a file; now and then, first remove those that somebody began who was killed."""
        now = time.monotonic()
        if now - self._tidied > _ABANDONED_SECONDS:
            self._tidied = now
            forget_drafts(self._folder, seconds=_ABANDONED_SECONDS)
        return Draft(self._folder)

    def _open(self, key: Key, limit: int | None = None) -> OpenObject:
        descriptor, found = self._folder.open(key)
        original = OpenObject(descriptor, _head(found))
        if limit is not None and found.st_size > limit:
            original.close()
            refuse_above(limit, found.st_size)
        return original

    def _head(self, key: Key) -> Head:
        with self._open(key) as original:
            return original.head


def _take(walk: Iterator[tuple[str, os.stat_result]]) -> list[tuple[str, os.stat_result]]:
    return list(islice(walk, _LISTED))


def _head(found: os.stat_result) -> Head:
    """Describe a file."""
    return Head(found.st_size, version(found), found.st_mtime)
