"""max_age(seconds): how long browsers and CDNs may keep the answer; 0 means not at all."""

from dataclasses import replace

from imgproxy.image.filters.arguments import Integer
from imgproxy.image.filters.base import Filter
from imgproxy.image.options import Options

_YEAR = 31_536_000


def _set(options: Options, seconds: int) -> Options:
    return replace(options, max_age=seconds)


MAX_AGE = Filter("max_age", (Integer("seconds", 0, _YEAR),), set=_set)
