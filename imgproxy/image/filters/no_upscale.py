"""no_upscale(): never make the picture larger than its original."""

from dataclasses import replace

from imgproxy.image.filters.base import Filter
from imgproxy.image.options import Options


def _set(options: Options) -> Options:
    return replace(options, upscale=False)


NO_UPSCALE = Filter("no_upscale", set=_set)
