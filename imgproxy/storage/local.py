"""Objects as files in one folder.

What is seen is whole: a file is written under `.uploads`, brought to disk, and renamed into place.
Two limits come with files: `a` and `a/b` cannot both be objects, and no part of a key is longer than
255 bytes. What the type of an object was said to be is not kept.

Every call that touches the disk runs in a thread of our own, for a network disk may hang: callers then
get `StorageSlow`, and the threads of the rest of the process (name resolution) stay free.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import TypeVar

from imgproxy.errors import NotFound, StorageFailed, StorageSlow
from imgproxy.image.source import Key
from imgproxy.storage import Head, Original
from imgproxy.storage.blocks import blocks
from imgproxy.storage.draft import Draft
from imgproxy.storage.folder import Folder, translated
from imgproxy.storage.memfd import refuse_above

_CHUNK = 256 * 1024
_BLOCK = 1024 * 1024  # written at once: a thread costs 0.1 ms a time
_LISTED = 256  # looked up at once while listing
_THREADS = 16

_Answer = TypeVar("_Answer")


class LocalStorage:
    """A flat space of keys in a folder, which is made by the first object put."""

    def __init__(self, root: Path, *, patience: float = 30.0) -> None:
        """Serve from `root`, waiting `patience` seconds for any one call of the disk."""
        self._folder = Folder(root)
        self._patience = patience
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="storage")

    async def head(self, key: Key) -> Head:
        """Describe an object."""
        return await self._run(self._head, key)

    async def open(self, key: Key, *, limit: int) -> Original:
        """Hand out the file itself."""
        return await self._run(self._open, key, limit, late=Original.close)

    async def read(self, key: Key, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Stream bytes `start` to `end`."""
        original = await self._run(self._open, key, late=Original.close)
        with original:  # closing a file that was only read does not wait for the disk
            stop = original.head.size if end is None else min(end, original.head.size)
            for position in range(start, stop, _CHUNK):
                size = min(_CHUNK, stop - position)
                chunk = await self._run(os.pread, original.descriptor, size, position)
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
        async with self._draft() as draft:
            async with aclosing(blocks(chunks, size=_BLOCK)) as regrouped:
                async for block in regrouped:
                    await self._run(draft.write, block)
            return _head(await self._run(draft.publish, key))

    async def copy(self, source: Key, target: Key) -> Head:
        """Copy a file within the kernel."""
        with await self._run(self._open, source, late=Original.close) as original:
            async with self._draft() as draft:
                start = 0
                while copied := await self._run(draft.copy_from, original.descriptor, start):
                    start += copied
                return _head(await self._run(draft.publish, target))

    async def delete(self, key: Key) -> None:
        """Remove an object; one that is not there counts as removed."""
        try:
            await self._run(self._folder.remove, key)
        except NotFound:
            return

    async def list(self, prefix: str = "") -> AsyncIterator[tuple[Key, Head]]:
        """Every object whose key begins with `prefix`, in order of key."""
        walk = self._folder.walk(prefix)
        while page := await self._run(_take, walk):
            for key, found in page:
                yield Key(key), _head(found)

    async def check(self) -> None:
        """Return if objects can be written here."""
        try:
            async with self._draft():
                return
        except StorageFailed as error:
            reason = getattr(error.__cause__, "strerror", "unknown reason")
            raise StorageFailed(f"cannot write to the folder {self._folder.root}: {reason}") from error

    async def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False)

    @asynccontextmanager
    async def _draft(self) -> AsyncIterator[Draft]:
        draft = await self._run(Draft, self._folder, late=Draft.discard)
        try:
            yield draft
        finally:
            await self._run(draft.discard)

    def _open(self, key: Key, limit: int | None = None) -> Original:
        descriptor, found = self._folder.open(key)
        original = Original(descriptor, _head(found))
        if limit is not None and found.st_size > limit:
            original.close()
            refuse_above(limit, found.st_size)
        return original

    def _head(self, key: Key) -> Head:
        with self._open(key) as original:
            return original.head

    async def _run(
        self, work: Callable[..., _Answer], *arguments: object, late: Callable[[_Answer], None] | None = None
    ) -> _Answer:
        """Work in a thread, and wait for it with patience.

        A thread cannot be called back. If nobody waits for its answer any more, `late` is given that
        answer in the thread, so that a descriptor opened too late is closed all the same.
        """
        job = self._threads.submit(_translating, work, *arguments)
        try:
            async with asyncio.timeout(self._patience):
                return await asyncio.shield(asyncio.wrap_future(job))
        except TimeoutError as error:
            _abandon(job, late)
            raise StorageSlow("the storage did not answer in time") from error
        except asyncio.CancelledError:
            _abandon(job, late)
            raise


def _translating(work: Callable[..., _Answer], *arguments: object) -> _Answer:
    with translated():
        return work(*arguments)


def _abandon(job: Future[_Answer], late: Callable[[_Answer], None] | None) -> None:
    def hand_back(done: Future[_Answer]) -> None:
        if late and not done.cancelled() and not done.exception():
            late(done.result())

    job.add_done_callback(hand_back)


def _take(walk: Iterator[tuple[str, os.stat_result]]) -> list[tuple[str, os.stat_result]]:
    return list(islice(walk, _LISTED))


def _head(found: os.stat_result) -> Head:
    """Describe a file. An inode is never written twice here, so a new one says that bytes have changed."""
    version = f"{found.st_mtime_ns:x}-{found.st_size:x}-{found.st_ino:x}"
    return Head(found.st_size, version, found.st_mtime)
