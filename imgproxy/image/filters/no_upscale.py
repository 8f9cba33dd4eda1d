"""no_upscale(): never make the image larger than its source image."""

from dataclasses import replace

from imgproxy.image.filters.base import Filter
from imgproxy.image.options import Options


def _set(options: Options) -> Options:
    return replace(options, upscale=False)


NO_UPSCALE = Filter("no_upscale", set=_set)
