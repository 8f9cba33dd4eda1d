"""expire(timestamp): milliseconds since 1970 after which the URL answers 404 (imagor, which says 410)."""

from dataclasses import replace

from imgproxy.image.filters.arguments import Integer
from imgproxy.image.filters.base import Filter
from imgproxy.image.options import Options

_FAR = 253_402_300_799_000  # the last second of the year 9999


def _set(options: Options, timestamp: int) -> Options:
    return replace(options, expire=timestamp)


EXPIRE = Filter("expire", (Integer("timestamp", 0, _FAR),), set=_set)
