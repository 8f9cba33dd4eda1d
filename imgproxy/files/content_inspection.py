"""What a frozen object is: size, type and sides, all of them from its bytes, none from its client."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

from imgproxy.errors import ImageError, InvalidFormat
from imgproxy.files.collection_limits import check_size, check_type
from imgproxy.files.content_validation import settle, weigh
from imgproxy.files.model import Collection
from imgproxy.files.object_storage import Inspector
from imgproxy.files.sniff import SNIFFED_BYTES, sniff
from imgproxy.image.formats import TRAITS
from imgproxy.image.source import Key
from imgproxy.storage import Head, Storage

_MEASURED = frozenset(traits.mime for traits in TRAITS.values() if traits.mime.startswith("image/"))
"""A PDF is a document: one that we cannot draw, with a password say, is a file all the same."""


@dataclass(frozen=True, slots=True)
class DeclaredContent:
    """What a client says of the bytes; whatever of it is said is held against them."""

    name: str
    mime_types: tuple[str, ...]
    """All must be possible; the last one's word counts where the bytes cannot tell."""
    sizes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the bytes are."""

    size: int
    version: str
    mime_type: str
    width: int | None = None
    height: int | None = None


class ContentInspector:
    """Looks at objects that nobody can write to."""

    def __init__(self, objects: Storage, inspector: Inspector) -> None:
        self._objects = objects
        self._inspector = inspector

    async def inspect(
        self, key: Key, head: Head, declared: DeclaredContent, collection: Collection
    ) -> Inspection:
        """What an object is; raise a `FilesError` for lies and for what the collection does not take."""
        check_weight(head.size, declared, collection)
        kind = await self.kind(key, declared)
        check_type(collection, kind)
        width, height = await self._sides(key, head, kind)
        return Inspection(head.size, head.version, kind, width, height)

    async def kind(self, key: Key, declared: DeclaredContent) -> str:
        """Return the type of an object; raise `InvalidFormat` for a lie."""
        return await type_of(await self._first_bytes(key), declared)

    async def _first_bytes(self, key: Key) -> bytes:
        # whatever streams can be closed: only the type of `read` does not say so
        stream = cast("Any", self._objects.read(key, end=SNIFFED_BYTES))
        async with aclosing(stream) as chunks:
            return b"".join([chunk async for chunk in chunks])

    async def _sides(self, key: Key, head: Head, kind: str) -> tuple[int | None, int | None]:
        if kind not in _MEASURED:
            return None, None
        try:
            return await self._inspector.inspect(key, head.version, head.size) or (None, None)
        except ImageError as error:
            raise InvalidFormat(f"the file cannot be read as {kind}: {error}") from error


async def type_of(first: bytes, declared: DeclaredContent) -> str:
    """The type of a file that begins so; raise `InvalidFormat` for a lie."""
    found = await asyncio.to_thread(sniff, first, declared.name)
    kinds = [settle(said, found) for said in declared.mime_types]
    return kinds[-1] if kinds else found


def check_weight(size: int, declared: DeclaredContent, collection: Collection) -> None:
    """Raise `FileTooLarge` or `FileTooSmall` for a size that was not told, or that is not taken."""
    weigh(size, declared.sizes)
    check_size(collection, size)
