"""dpr(n): device pixels per CSS pixel; the size, padding and every length in the URL grow by it."""

from dataclasses import replace

from imgproxy.image.filters.arguments import Number
from imgproxy.image.filters.base import Filter
from imgproxy.image.options import Options


def _set(options: Options, density: float) -> Options:
    return replace(options, dpr=density)


DPR = Filter("dpr", (Number("n", 0.1, 8),), set=_set)
