"""page(n): only the n-th page or frame, counted from 1."""

from dataclasses import replace

from imgproxy.image.filters.arguments import Integer
from imgproxy.image.filters.base import Filter
from imgproxy.image.options import Options


def _set(options: Options, number: int) -> Options:
    return replace(options, page=number, max_frames=1)


PAGE = Filter("page", (Integer("n", 1, 100_000),), set=_set)
