"""max_frames(n): at most the first n frames of an animation."""

from dataclasses import replace

from imgproxy.image.filters.arguments import Integer
from imgproxy.image.filters.base import Filter
from imgproxy.image.options import Options


def _set(options: Options, count: int) -> Options:
    return replace(options, max_frames=count)


MAX_FRAMES = Filter("max_frames", (Integer("n", 1, 100_000),), set=_set)
