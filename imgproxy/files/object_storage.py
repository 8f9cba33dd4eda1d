"""Protocols of the two jobs that the files API gives to sandboxed workers."""

from __future__ import annotations

from typing import Protocol

from imgproxy.image.source import Key


class Inspector(Protocol):
    """Reads the size of images in a sandbox."""

    async def inspect(self, key: Key, version: str, size: int) -> tuple[int, int] | None:
        """Return the upright width and height of an object of `size` bytes; None if it is too large to read.

        Raise an `ImageError` if the bytes are no image, or a broken one.
        """


class Stripper(Protocol):
    """Removes personal metadata of images in a sandbox."""

    def takes(self, mime_type: str) -> bool:
        """Return whether metadata of images of this type can be removed."""

    async def strip(self, key: Key, version: str) -> bytes:
        """Return an object's bytes without personal metadata.

        Raise an `ImageError` if they are no such image or a broken one, `SourceTooLarge`, or a `ServerError`.
        """
