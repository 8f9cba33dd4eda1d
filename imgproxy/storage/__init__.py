"""Where objects lie: one protocol, a file per backend.

Every member keeps the promises of `tests/storage/contract.py`. Failures are `errors.SourceError`s and
`errors.NotFound`; nothing of a backend's own comes through.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from imgproxy.errors import InvalidParts
from imgproxy.image.source import Key

MAX_PARTS = 10_000  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
MIN_PART_BYTES = 5 * 1024 * 1024  # of every part but the last, ibidem


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
class OpenObject:
    """One whole object as a read-only file descriptor at its beginning. Whoever holds it closes it."""

    descriptor: int
    head: Head

    def close(self) -> None:
        """Give the descriptor back; a second call does nothing."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> OpenObject:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class Part:
    """A part that storage has received."""

    number: int
    """From 1 to `MAX_PARTS`."""
    etag: str
    """As storage gave it, quotes and all."""
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class UnfinishedUpload:
    """An upload in parts that was begun, and neither completed nor aborted."""

    key: Key
    upload: str
    """The id that storage gave it."""
    begun: float
    """Seconds since 1970."""


class BadParts(InvalidParts):
    """The parts listed are not those received, not in order, too small, or none."""


class Multipart(Protocol):
    """Uploads in parts, each known by its key and the id storage gave it.

    An upload that is not there, or is another key's, is `NotFound`, save in `abort`, where it is success.
    """

    async def begin(self, key: Key, *, content_type: str | None = None) -> str:
        """Begin an upload and return its id."""

    async def presign(
        self, key: Key, upload: str, *, number: int, expires: int, limit: int | None = None
    ) -> str:
        """Return a URL to which a client puts one part, for `expires` seconds; it is answered an ETag.

        Our gateway takes at most `limit` bytes of all parts together; S3 has no such bound of parts.
        """

    async def parts(self, key: Key, upload: str) -> list[Part]:
        """List what has arrived, in order; a part that came twice is what came last."""

    async def complete(self, key: Key, upload: str, parts: Iterable[Part]) -> None:
        """Make these parts one object, whole or not at all; what is not among them is thrown away.

        Their sizes are not looked at: numbers and ETags are what a client knows. Raise `BadParts` and
        leave the upload as it was if no object can be made of them.
        """

    async def abort(self, key: Key, upload: str) -> None:
        """Throw the parts away; an upload that is not there counts as aborted."""

    def list(self, prefix: str = "") -> AsyncIterator[UnfinishedUpload]:
        """Every unfinished upload to a key that begins with `prefix`, in no order."""


class Storage(Protocol):
    """A flat space of keys. An absent object is `NotFound`, save in `delete`, where it is success."""

    async def head(self, key: Key) -> Head:
        """Describe an object."""

    async def open(self, key: Key, *, limit: int) -> OpenObject:
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
        """Every object whose key begins with `prefix`; in order of key where the backend has one."""

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
        """Return a URL that allows one GET or PUT for `expires` seconds (at most 7 days); nobody is asked.

        A PUT must then carry exactly this type and length, and at our gateway at most `limit` bytes, which
        S3 cannot sign for a PUT. A GET is answered with this type and `Content-Disposition`. A path without a
        host is one of our own (`/-/…`), served by the gateway.
        """

    @property
    def multipart(self) -> Multipart:
        """Uploads in parts."""

    async def check(self) -> None:
        """Return if the storage can be reached; else raise saying what failed, in an operator's words."""

    async def close(self) -> None:
        """Give back connections."""
