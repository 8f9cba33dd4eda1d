"""Overlays of a job, such as watermarks; each is opened when its filter runs."""

from __future__ import annotations

from collections.abc import Mapping

from imgproxy.engine import colour_management, geometry, readers, vips
from imgproxy.engine.memory_budget import MemoryBudget
from imgproxy.errors import EngineFailed
from imgproxy.image import plan as planning
from imgproxy.image.filters.base import Image
from imgproxy.image.formats import TRAITS
from imgproxy.image.plan import Ceiling, Size


class Overlays:
    """Overlays by name, from their descriptors; each meets the limits of a source image."""

    def __init__(self, descriptors: Mapping[str, int], ceiling: Ceiling, *, imagor: bool = False) -> None:
        """Convert colours as imagor does if `imagor`: by profiles alone, without black-point compensation."""
        self._descriptors = descriptors
        self._ceiling = ceiling
        self._imagor = imagor
        self.budget = MemoryBudget(ceiling.memory)
        """The job's memory; the image's steps count theirs here too."""

    def image(self, name: str, *, within: tuple[int, int] | None, frames: int) -> Image:
        """Return an overlay as 8-bit sRGB with alpha, `frames` frames stacked vertically.

        It is fit into `within` (width, height), larger or smaller; without, it keeps its own size. One
        with fewer frames begins again.
        """
        if name not in self._descriptors:
            raise EngineFailed("the image could not be made")
        opened = readers.open_image(self._descriptors[name], without=self._ceiling.without)
        moving = TRAITS[opened.facts.format].animation
        count = min(frames, opened.facts.pages) if moving else 1
        planning.check(opened.facts, count, self._ceiling)
        size = _fitted(Size(*opened.facts.upright), within)
        planning.check_size(size, count, self._ceiling)
        image = opened.load(shrink=1, first=0, count=count, sequential=True)
        if opened.facts.orientation != 1:
            self.budget.take(vips.size_of(image))
            image = geometry.upright(image.copy_memory(), opened.facts.orientation)
        nclx = None if self._imagor else opened.facts.nclx
        image = colour_management.to_srgb(image, nclx=nclx, black_point=not self._imagor)
        image = image if image.interpretation == "srgb" else image.colourspace("srgb")
        image = image if image.hasalpha() else image.addalpha()
        if within is not None:
            height = image.height // count
            image = geometry.resized(image, _scale(Size(image.width, height), within), size.height / height)
        self.budget.take(vips.size_of(image))
        height, image = image.height // count, vips.bare(image)  # computed: it may be read once only
        if count < frames:
            image = image.replicate(1, -(-frames // count)).crop(0, 0, image.width, height * frames)
        return image


def _scale(size: Size, within: tuple[int, int]) -> float:
    return min(within[0] / size.width, within[1] / size.height)


def _fitted(size: Size, within: tuple[int, int] | None) -> Size:
    if within is None:
        return size
    scale = _scale(size, within)
    return Size(max(1, int(size.width * scale + 0.5)), max(1, int(size.height * scale + 0.5)))
