"""An image of one page that a decoder can only give whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from imgproxy.image.filters.base import Image
from imgproxy.image.header import ImageHeader


@dataclass(frozen=True, slots=True)
class Still:
    """See `family.Opened`."""

    facts: ImageHeader
    decode: Callable[[], Image]

    def page(self, number: int) -> Still:  # noqa: ARG002  there is one
        return self

    def load(self, *, shrink: float, first: int, count: int, sequential: bool) -> Image:  # noqa: ARG002
        return self.decode()
