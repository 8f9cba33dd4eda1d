"""Reader protocol: signature bytes, the parsed header, and the pixels.

To add one: a file here, a line in the tuple of `__init__.py`, its type in `image.formats`, a test file of the
same name. Everything a reader needs is imported with its file: behind the sandbox nothing can be.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from imgproxy.image.filters.base import Image
from imgproxy.image.formats import Format
from imgproxy.image.header import ImageHeader

FIRST_BYTES = 65_536
"""Bytes from which the format is detected; an SVG may begin with a long comment."""


class Source:
    """A file that is read by its descriptor, which stays the caller's."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @cached_property
    def first(self) -> bytes:
        """The first 64 KiB."""
        return os.pread(self.descriptor, FIRST_BYTES, 0)

    @cached_property
    def data(self) -> bytes:
        """All bytes."""
        return os.pread(self.descriptor, os.fstat(self.descriptor).st_size, 0)


class Opened(Protocol):
    """An image whose header was read and whose pixels were not."""

    @property
    def facts(self) -> ImageHeader:
        """Parsed header of the image."""

    def page(self, number: int) -> Opened:
        """Return the same file opened at another page, from 0, where pages differ in size."""

    def load(self, *, shrink: float, first: int, count: int, sequential: bool) -> Image:
        """Set up decoding of `count` frames from `first`, shrunk by what the decoder does itself.

        Warnings pass; truncation and errors raise `BrokenImage`, so half an image is never taken for a whole.
        """


@dataclass(frozen=True, slots=True)
class Reader:
    """One way to read images of one or more types."""

    name: str
    formats: tuple[Format, ...]
    claims: Callable[[bytes], Format | None]
    """The type of a file that begins with these bytes, if it is one of `formats`."""
    open: Callable[[Source, Format, float], Opened]
    """Read the header, of pages of points at so many dots per inch.

    Raise `BrokenImage` or `UnsupportedImage`.
    """


def prefixed(format_: Format, *marks: bytes) -> Callable[[bytes], Format | None]:
    """Claim files that begin with one of some marks."""
    return lambda first: format_ if first.startswith(marks) else None
