"""Object storage: the one protocol, its values, and the keys that no storage serves.

Every storage passes the suite in `tests/storage/contract.py`. It raises `errors.NotFound` and
`errors.SourceError`, and never an error of its library.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, Self

from imgproxy.errors import InvalidParts, NotFound
from imgproxy.image.source import Key

if TYPE_CHECKING:
    from imgproxy.storage.signed_url import UrlSigner

MAX_PARTS = 10_000  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
MIN_PART_BYTES = 5 * 1024 * 1024  # of every part but the last, ibidem

OWN_PREFIXES = ("staging/", "files/")
"""Prefixes of the files API's objects; clients reach them through file rows alone."""

HIDDEN_PREFIXES = (".uploads/", ".minio.sys/", "lost+found/", "@eaDir/", "#recycle/", "$RECYCLE.BIN/")
"""Folders of SeaweedFS, MinIO, ext4, Synology and Windows."""


@dataclass(frozen=True, slots=True)
class Head:
    """Metadata of an object."""

    size: int
    """Bytes."""
    version: str
    """Changes whenever the bytes do (an ETag, or time and size); never contains a space or a quote."""
    modified: float
    """Seconds since 1970."""
    content_type: str | None = None
    """Type that the uploader declared; not to be trusted."""


@dataclass(slots=True)
class OpenObject:
    """One whole object as a read-only file descriptor at its beginning; its holder closes it."""

    descriptor: int
    head: Head

    def close(self) -> None:
        """Close the descriptor; a second call does nothing."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> OpenObject:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an upload."""

    number: int
    """From 1 to `MAX_PARTS`."""
    etag: str
    """The ETag that storage returned, with quotes."""
    size: int = 0
    """Bytes; 0 in a client's list of parts, where only numbers and ETags count."""


@dataclass(frozen=True, slots=True)
class UnfinishedUpload:
    """An upload in parts that is neither completed nor aborted."""

    key: Key
    upload: str
    """The id that storage assigned."""
    begun: float
    """Seconds since 1970."""


class BadParts(InvalidParts):
    """The listed parts are missing, out of order, too small, or not those received."""


class Multipart(Protocol):
    """Uploads in parts, each identified by its key and the id that storage assigned.

    An upload that does not exist, or has another key, is `NotFound`, except in `abort`.
    """

    async def begin(self, key: Key, *, content_type: str | None = None) -> str:
        """Begin an upload and return its id."""

    async def presign(
        self, key: Key, upload: str, *, number: int, expires: int, limit: int | None = None
    ) -> str:
        """Return a URL for the PUT of one part, valid for `expires` seconds; its response has an ETag.

        The object gateway accepts at most `limit` bytes of all parts together; S3 cannot limit them.
        """

    async def parts(self, key: Key, upload: str) -> list[Part]:
        """List the received parts in order; the latest of each number counts."""

    async def complete(self, key: Key, upload: str, parts: Iterable[Part]) -> None:
        """Make these parts one object, atomically; other parts are removed.

        Raise `BadParts`, and leave the upload unchanged, if they cannot make an object.
        """

    async def abort(self, key: Key, upload: str) -> None:
        """Remove an upload and its parts; one that does not exist is success."""

    def list(self, prefix: str = "") -> AsyncIterator[UnfinishedUpload]:
        """Yield every unfinished upload to a key with this prefix, in no order."""


class Storage(Protocol):
    """A flat space of keys. An absent object is `NotFound`, except in `delete`."""

    async def head(self, key: Key) -> Head:
        """Return an object's metadata."""

    async def open(self, key: Key, *, limit: int) -> OpenObject:
        """Open a whole object of at most `limit` bytes, or raise `SourceTooLarge`.

        Bytes are counted while they arrive, so an endless body stops at the limit. A body shorter than its
        announced length is `StorageFailed`. A file is not copied.
        """

    def read(self, key: Key, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Stream bytes `start` to `end` (exclusive; None is the end)."""

    async def put(self, key: Key, chunks: AsyncIterator[bytes], *, content_type: str | None = None) -> Head:
        """Store an object atomically; an existing one is replaced."""

    async def copy(self, source: Key, target: Key) -> Head:
        """Copy within the storage, on its side where it can."""

    async def delete(self, key: Key) -> None:
        """Remove an object; one that does not exist is success."""

    def list(self, prefix: str = "") -> AsyncIterator[tuple[Key, Head]]:
        """Yield every object whose key has this prefix; in order of key where the storage has one."""

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
        """Return a URL for one GET or PUT, valid for `expires` seconds (at most 7 days), without I/O.

        A PUT must have exactly this type and length, and at the object gateway at most `limit` bytes; S3
        cannot sign a limit of a PUT. A GET's response has this type and `Content-Disposition`. A path without
        a host (`/-/…`) is one of the object gateway.
        """

    @property
    def multipart(self) -> Multipart:
        """Uploads in parts."""

    async def check(self) -> None:
        """Return if the storage is reachable; else raise an error with the cause for an operator."""

    async def close(self) -> None:
        """Close connections."""


class StorageOptions(ABC):
    """One kind of storage as `IMGPROXY_STORAGE` names it: the grammar of its URL, and its constructor."""

    scheme: ClassVar[str]
    form: ClassVar[str]
    """The URL's form, for error messages."""

    @classmethod
    @abstractmethod
    def parse(cls, rest: str) -> Self:
        """Parse a URL after `scheme://`; raise `ValueError` with one line that says what is expected."""

    @abstractmethod
    async def connect(
        self, url_signer: UrlSigner | None = None, hidden: Sequence[str] = HIDDEN_PREFIXES
    ) -> Storage:
        """Return the storage; its first I/O is `Storage.check`.

        `url_signer` signs URLs of the object gateway; keys with a prefix in `hidden` hold no object.
        """


def is_hidden(key: str, prefixes: Sequence[str]) -> bool:
    """Return whether a key has one of these prefixes, or a segment that begins with a dot."""
    if key.startswith(OWN_PREFIXES):
        return False
    return key.startswith((".", *prefixes)) or "/." in key


def require_visible(key: str, prefixes: Sequence[str]) -> None:
    """Raise `NotFound` for a hidden key."""
    if is_hidden(key, prefixes):
        raise NotFound("no such object")
