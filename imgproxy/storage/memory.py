"""Objects in a dictionary: for tests, and for a demo that leaves nothing behind.

It keeps every promise of the protocol but one: what it holds is gone with the process.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass

from imgproxy.errors import NotFound
from imgproxy.image.source import Key
from imgproxy.storage import Head, Original
from imgproxy.storage.memfd import Memfd, refuse_above

_CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class _Object:
    data: bytes
    head: Head


class MemoryStorage:
    """A flat space of keys that is only in memory."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._objects: dict[Key, _Object] = {}
        self._clock = clock

    async def head(self, key: Key) -> Head:
        """Describe an object."""
        return self._find(key).head

    async def open(self, key: Key, *, limit: int) -> Original:
        """Copy an object into a descriptor of its own."""
        found = self._find(key)
        refuse_above(limit, found.head.size)
        with closing(Memfd(limit=limit)) as memfd:
            memfd.write(found.data)
            return memfd.finish(found.head)

    async def read(self, key: Key, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Stream bytes `start` to `end`."""
        data = self._find(key).data[start:end]
        for position in range(0, len(data), _CHUNK):
            yield data[position : position + _CHUNK]

    async def put(self, key: Key, chunks: AsyncIterator[bytes], *, content_type: str | None = None) -> Head:
        """Store an object once its last chunk is here."""
        data = b"".join([chunk async for chunk in chunks])
        version = hashlib.blake2b(data, digest_size=16).hexdigest()
        head = Head(len(data), version, self._clock(), content_type)
        self._objects[key] = _Object(data, head)
        return head

    async def copy(self, source: Key, target: Key) -> Head:
        """Let a second key name the same bytes."""
        self._objects[target] = found = self._find(source)
        return found.head

    async def delete(self, key: Key) -> None:
        """Forget an object."""
        self._objects.pop(key, None)

    async def list(self, prefix: str = "") -> AsyncIterator[tuple[Key, Head]]:
        """Every object there was when the listing began and that is still there when its turn comes."""
        for key in sorted(self._objects):
            if key.startswith(prefix) and key in self._objects:
                yield key, self._objects[key].head

    async def check(self) -> None:
        """Return: memory can be reached."""

    async def close(self) -> None:
        """Keep everything: a dictionary holds no connection."""

    def _find(self, key: Key) -> _Object:
        try:
            return self._objects[key]
        except KeyError:
            raise NotFound("no such object") from None
