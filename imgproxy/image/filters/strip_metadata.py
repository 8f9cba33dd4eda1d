"""strip_metadata(): leave all metadata out and convert to sRGB, also where the deployment keeps it."""

from dataclasses import replace

from imgproxy.image.filters.base import Filter
from imgproxy.image.options import Options


def _set(options: Options) -> Options:
    return replace(options, strip_metadata=True)


STRIP_METADATA = Filter("strip_metadata", set=_set)
