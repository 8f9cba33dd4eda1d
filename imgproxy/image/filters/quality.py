"""quality(n): how well to write formats that lose something, 1–100."""

from dataclasses import replace

from imgproxy.image.filters.arguments import Integer
from imgproxy.image.filters.base import Filter
from imgproxy.image.options import Options


def _set(options: Options, quality: int) -> Options:
    return replace(options, quality=quality)


QUALITY = Filter("quality", (Integer("n", 1, 100),), set=_set)
