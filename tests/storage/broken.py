"""Storages that go wrong on purpose, for the tests of whatever stands before a storage.

BrokenStorage  every call fails in the way it is told
SlowStorage    every call takes the time it is told, by a clock it is given
HeldStorage    `open` and `read` wait until the test lets them go on, and are counted
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Literal

from imgproxy.errors import ImgproxyError, StorageFailed
from imgproxy.image.source import Key
from imgproxy.storage import Head, OpenObject, Part, UnfinishedUpload
from imgproxy.storage.memory import MemoryMultipart, MemoryStorage


class _Watched(MemoryStorage):
    """A storage in memory before whose every call something happens; parts' calls are `multipart.…`."""

    def __init__(self) -> None:
        super().__init__()
        self.multipart = _WatchedMultipart(self)

    async def before(self, call: str) -> None:
        """Happen."""

    async def head(self, key: Key) -> Head:
        await self.before("head")
        return await super().head(key)

    async def open(self, key: Key, *, limit: int) -> OpenObject:
        await self.before("open")
        return await super().open(key, limit=limit)

    async def read(self, key: Key, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        await self.before("read")
        async for chunk in super().read(key, start=start, end=end):
            yield chunk

    async def put(self, key: Key, chunks: AsyncIterator[bytes], *, content_type: str | None = None) -> Head:
        await self.before("put")
        return await super().put(key, chunks, content_type=content_type)

    async def copy(self, source: Key, target: Key) -> Head:
        await self.before("copy")
        return await super().copy(source, target)

    async def delete(self, key: Key) -> None:
        await self.before("delete")
        await super().delete(key)

    async def list(self, prefix: str = "") -> AsyncIterator[tuple[Key, Head]]:
        await self.before("list")
        async for found in super().list(prefix):
            yield found

    async def presign(
        self,
        method: Literal["GET", "PUT"],
        key: Key,
        *,
        expires: int,
        content_type: str | None = None,
        content_length: int | None = None,
        limit: int | None = None,
        disposition: str | None = None,
    ) -> str:
        await self.before("presign")
        return await super().presign(
            method,
            key,
            expires=expires,
            content_type=content_type,
            content_length=content_length,
            limit=limit,
            disposition=disposition,
        )

    async def check(self) -> None:
        await self.before("check")


class _WatchedMultipart(MemoryMultipart):
    def __init__(self, storage: _Watched) -> None:
        super().__init__(storage._store, storage.url_signer, storage._clock)
        self._storage = storage

    async def begin(self, key: Key, *, content_type: str | None = None) -> str:
        await self._storage.before("multipart.begin")
        return await super().begin(key, content_type=content_type)

    async def presign(
        self, key: Key, upload: str, *, number: int, expires: int, limit: int | None = None
    ) -> str:
        await self._storage.before("multipart.presign")
        return await super().presign(key, upload, number=number, expires=expires, limit=limit)

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
        await self._storage.before("multipart.receive")
        return await super().receive(key, upload, number=number, chunks=chunks, length=length, limit=limit)

    async def parts(self, key: Key, upload: str) -> list[Part]:
        await self._storage.before("multipart.parts")
        return await super().parts(key, upload)

    async def complete(self, key: Key, upload: str, parts: Iterable[Part]) -> None:
        await self._storage.before("multipart.complete")
        await super().complete(key, upload, parts)

    async def abort(self, key: Key, upload: str) -> None:
        await self._storage.before("multipart.abort")
        await super().abort(key, upload)

    async def list(self, prefix: str = "") -> AsyncIterator[UnfinishedUpload]:
        await self._storage.before("multipart.list")
        async for found in super().list(prefix):
            yield found


class BrokenStorage(_Watched):
    """Fail in every call, or in those named, until `error` is None."""

    def __init__(self, error: ImgproxyError | None = None, *, only: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.error: ImgproxyError | None = error or StorageFailed("broken on purpose")
        self.only = only
        self.calls: list[str] = []

    async def before(self, call: str) -> None:
        self.calls.append(call)
        if self.error and (not self.only or call in self.only):
            raise self.error


class SlowStorage(_Watched):
    """Take `seconds` for every call; give it the `sleep` of a test's own clock."""

    def __init__(
        self, seconds: float, *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> None:
        super().__init__()
        self.seconds = seconds
        self._sleep = sleep

    async def before(self, call: str) -> None:
        await self._sleep(self.seconds)


class HeldStorage(_Watched):
    """Hold every `open` and `read` until `release` is called; `reached` says that one is waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = asyncio.Event()
        self.waited: list[str] = []
        self._released = asyncio.Event()

    def release(self) -> None:
        """Let all go on, those that wait and those to come."""
        self._released.set()

    async def before(self, call: str) -> None:
        if call in ("open", "read"):
            self.waited.append(call)
            self.reached.set()
            await self._released.wait()
