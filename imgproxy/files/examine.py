"""What a frozen object is: size, type and sides, all of them from its bytes, none from its client."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

from imgproxy.errors import ImageError, InvalidFormat
from imgproxy.files.model import Collection
from imgproxy.files.objects import Inspector
from imgproxy.files.sniff import SNIFFED_BYTES, sniff
from imgproxy.files.terms import check_size, check_type
from imgproxy.files.verify import settle, weigh
from imgproxy.image.formats import TRAITS
from imgproxy.image.source import Key
from imgproxy.storage import Head, Storage

_MEASURED = frozenset(traits.mime for traits in TRAITS.values() if traits.mime.startswith("image/"))
"""A PDF is a document: one that we cannot draw, with a password say, is a file all the same."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a client says of the bytes; whatever of it is said is held against them."""

    name: str
    mime_types: tuple[str, ...]
    """All must be possible; the last one's word counts where the bytes cannot tell."""
    sizes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """What the bytes are."""

    size: int
    version: str
    mime_type: str
    width: int | None = None
    height: int | None = None


class Examiner:
    """Looks at objects that nobody can write to."""

    def __init__(self, objects: Storage, inspector: Inspector) -> None:
        self._objects = objects
        self._inspector = inspector

    async def examine(self, key: Key, head: Head, claimed: Claimed, collection: Collection) -> Found:
        """What an object is; raise a `FilesError` for lies and for what the collection does not take."""
        check_weight(head.size, claimed, collection)
        kind = await self.kind(key, claimed)
        check_type(collection, kind)
        width, height = await self._sides(key, head, kind)
        return Found(head.size, head.version, kind, width, height)

    async def kind(self, key: Key, claimed: Claimed) -> str:
        """Return the type of an object; raise `InvalidFormat` for a lie."""
        return await type_of(await self._first_bytes(key), claimed)

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


async def type_of(first: bytes, claimed: Claimed) -> str:
    """The type of a file that begins so; raise `InvalidFormat` for a lie."""
    found = await asyncio.to_thread(sniff, first, claimed.name)
    kinds = [settle(said, found) for said in claimed.mime_types]
    return kinds[-1] if kinds else found


def check_weight(size: int, claimed: Claimed, collection: Collection) -> None:
    """Raise `FileTooLarge` or `FileTooSmall` for a size that was not told, or that is not taken."""
    weigh(size, claimed.sizes)
    check_size(collection, size)
