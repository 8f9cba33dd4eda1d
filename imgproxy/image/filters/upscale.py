"""upscale(): let `fit-in` make the image larger than its source image."""

from dataclasses import replace

from imgproxy.image.filters.base import Filter
from imgproxy.image.options import Options


def _set(options: Options) -> Options:
    return replace(options, upscale=True)


UPSCALE = Filter("upscale", set=_set)
