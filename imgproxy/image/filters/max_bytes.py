"""max_bytes(n): lower the quality until the answer has at most n bytes, or quality reaches 10 (imagor).

Formats without a quality stay as they are.
"""

from dataclasses import replace

from imgproxy.image.filters.arguments import Integer
from imgproxy.image.filters.base import Filter
from imgproxy.image.options import Options


def _set(options: Options, size: int) -> Options:
    return replace(options, max_bytes=size)


MAX_BYTES = Filter("max_bytes", (Integer("n", 1, 1_000_000_000),), set=_set)
