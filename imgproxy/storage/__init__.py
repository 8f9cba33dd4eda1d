"""Where objects lie: one protocol, a file per backend.

Every member keeps the promises of `tests/storage/contract.py`. Failures are `errors.SourceError`s and
`errors.NotFound`; nothing of a backend's own comes through.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from imgproxy.image.source import Key


@dataclass(frozen=True, slots=True)
class Head:
    """What storage says of an object without sending it."""

    size: int
    """Bytes."""
    version: str
    """Changes whenever the bytes do (an ETag, or time and size); never contains a space or a quote."""
    modified: float
    """Seconds since 1970."""
    content_type: str | None = None
    """As whoever stored it said; never to be believed."""


@dataclass(slots=True)
class Original:
    """One whole object as a read-only file descriptor at its beginning. Whoever holds it closes it."""

    descriptor: int
    head: Head

    def close(self) -> None:
        """Give the descriptor back; a second call does nothing."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> Original:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Storage(Protocol):
    """A flat space of keys. An absent object is `NotFound`, save in `delete`, where it is success."""

    async def head(self, key: Key) -> Head:
        """Describe an object."""

    async def open(self, key: Key, *, limit: int) -> Original:
        """Hand out a whole object of at most `limit` bytes, or raise `SourceTooLarge`.

        Bytes are counted while they arrive, so a lying or endless answer stops at the limit; one that
        ends before its announced length is `StorageFailed`. What is a file already is not copied.
        """

    def read(self, key: Key, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Stream bytes `start` to `end` (exclusive; None is the end)."""

    async def put(self, key: Key, chunks: AsyncIterator[bytes], *, content_type: str | None = None) -> Head:
        """Store an object, whole or not at all; replaces what was there."""

    async def copy(self, source: Key, target: Key) -> Head:
        """Copy within the storage, without the bytes passing through us where the backend can."""

    async def delete(self, key: Key) -> None:
        """Remove an object; one that is not there counts as removed."""

    def list(self, prefix: str = "") -> AsyncIterator[tuple[Key, Head]]:
        """Every object whose key begins with `prefix`, in order of key."""

    async def check(self) -> None:
        """Return if the storage can be reached; else raise saying what failed, in an operator's words."""

    async def close(self) -> None:
        """Give back connections."""
