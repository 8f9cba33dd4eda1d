"""strip_exif(): leave EXIF out, also where the deployment keeps metadata."""

from dataclasses import replace

from imgproxy.image.filters.base import Filter
from imgproxy.image.options import Options


def _set(options: Options) -> Options:
    return replace(options, strip_exif=True)


STRIP_EXIF = Filter("strip_exif", set=_set)
