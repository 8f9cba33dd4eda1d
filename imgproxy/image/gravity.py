"""Position of a box in a larger one: alignment, and the focal point of one or more regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class HAlign(StrEnum):
    """The side of a too wide image that is kept."""

    LEFT = "left"
    CENTER = "center"
    RIGHT = "right"


class VAlign(StrEnum):
    """The end of a too high image that is kept."""

    TOP = "top"
    MIDDLE = "middle"
    BOTTOM = "bottom"


LOW = frozenset({HAlign.LEFT, VAlign.TOP})
HIGH = frozenset({HAlign.RIGHT, VAlign.BOTTOM})


def offset(space: int, align: HAlign | VAlign) -> int:
    """Return the offset of a box that leaves `space` pixels free, as vips_smartcrop places it."""
    if align in LOW:
        return 0
    return space if align in HIGH else space // 2


@dataclass(frozen=True, slots=True)
class Region:
    """A region of the source image: pixels, or fractions of 1 when all four are at most 1.

    A point is a region without extent.
    """

    left: float
    top: float
    right: float
    bottom: float

    @property
    def fractional(self) -> bool:
        """Whether the numbers are fractions of the source image's sides."""
        return self.left < 1 and self.top < 1 and self.right <= 1 and self.bottom <= 1


def focal_point(regions: Sequence[Region], width: int, height: int) -> tuple[float, float]:
    """Return the centre of the regions, weighted by area, in pixels of a `width` x `height` image."""
    weights = x = y = 0.0
    for region in regions:
        across, down = (width, height) if region.fractional else (1, 1)
        left, right = region.left * across, region.right * across
        top, bottom = region.top * down, region.bottom * down
        weight = max((right - left) * (bottom - top), 1.0)  # a point counts as one pixel
        x += weight * (left + right) / 2
        y += weight * (top + bottom) / 2
        weights += weight
    return x / weights, y / weights
