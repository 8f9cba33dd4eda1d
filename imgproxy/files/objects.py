"""What the files API needs of storage and of whoever looks into pictures; `app` hands in the real ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from imgproxy.image.source import Key


class Head(Protocol):
    """What storage says of an object."""

    @property
    def size(self) -> int: ...
    @property
    def version(self) -> str: ...


class StoredPart(Protocol):
    """A part that storage has received."""

    @property
    def number(self) -> int: ...
    @property
    def etag(self) -> str: ...
    @property
    def size(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Part:
    """A part as a client names it."""

    number: int
    etag: str
    size: int = 0
    """Unknown: numbers and ETags are all that is compared."""


class Parts(Protocol):
    """Uploads in parts; see `storage.Multipart`."""

    async def begin(self, key: Key, *, content_type: str | None = None) -> str:
        """Begin an upload and return its id."""

    async def presign(
        self, key: Key, upload: str, *, number: int, expires: int, limit: int | None = None
    ) -> str:
        """Return a URL to which one part can be put; `limit` is of all parts together."""

    async def parts(self, key: Key, upload: str) -> Sequence[StoredPart]:
        """List what has arrived; raise `NotFound` if there is no such upload."""

    async def complete(self, key: Key, upload: str, parts: Iterable[Any]) -> None:
        """Make parts (`Part`s, by their attributes) one object; raise `NotFound` or `InvalidParts`."""

    async def abort(self, key: Key, upload: str) -> None:
        """Throw the parts away."""


class Objects(Protocol):
    """A storage; see `storage.Storage`. What is not there is `NotFound`."""

    async def head(self, key: Key) -> Head:
        """Describe an object."""

    def read(self, key: Key, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Stream bytes `start` to `end`."""

    async def put(self, key: Key, chunks: AsyncIterator[bytes], *, content_type: str | None = None) -> Head:
        """Store an object, whole or not at all."""

    async def copy(self, source: Key, target: Key) -> Head:
        """Copy within the storage."""

    async def delete(self, key: Key) -> None:
        """Remove an object; one that is not there counts as removed."""

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
        """Return a URL, or a path of our own, that allows one GET or PUT."""

    @property
    def multipart(self) -> Parts:
        """Uploads in parts."""


class Inspector(Protocol):
    """Looks into pictures, where a stranger's bytes can do no harm."""

    async def inspect(self, key: Key, version: str, size: int) -> tuple[int, int] | None:
        """Width and height of an object of `size` bytes, as a person sees it; None if we read no such size.

        Raise an `ImageError` for what is no picture, or a broken one.
        """


class Stripper(Protocol):
    """Removes personal metadata of images, where a stranger's bytes can do no harm."""

    def takes(self, mime_type: str) -> bool:
        """Whether metadata of images of a type can be removed."""

    async def strip(self, key: Key, version: str) -> bytes:
        """Return an object's bytes without personal metadata.

        Raise an `ImageError` if they are no such image or a broken one, `SourceTooLarge`, or an `OurError`.
        """
