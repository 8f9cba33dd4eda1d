"""strip_icc(): convert to sRGB and leave the colour profile out, also where the deployment keeps it."""

from dataclasses import replace

from imgproxy.image.filters.base import Filter
from imgproxy.image.options import Options


def _set(options: Options) -> Options:
    return replace(options, strip_icc=True)


STRIP_ICC = Filter("strip_icc", set=_set)
