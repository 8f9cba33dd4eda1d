"""focal(AxB:CxD) or focal(X,Y): what must stay in view when the image is cropped.

Pixels of the source image, or fractions of 1. `x`, `:` and `,` all separate, as in imagor; given repeatedly,
the centres are averaged by area.
"""

import re
from dataclasses import replace

from imgproxy.errors import BadArgument
from imgproxy.image.filters.arguments import Number
from imgproxy.image.filters.base import Filter
from imgproxy.image.gravity import Region
from imgproxy.image.options import Options

_COORDINATE = Number("coordinate", 0, 1_000_000)
_SEPARATOR = re.compile(r"[x:,]")


def _parse(text: str) -> tuple[Region]:
    words = _SEPARATOR.split(text)
    if len(words) not in (2, 4):
        raise BadArgument(f"focal: a region AxB:CxD or a point X,Y is expected, not '{text}'")
    numbers = [_COORDINATE.parse(word, "focal: coordinate") for word in words]
    left, top, right, bottom = numbers if len(numbers) == 4 else numbers * 2
    if right < left or bottom < top:
        raise BadArgument(f"focal: the region '{text}' ends before it begins")
    return (Region(left, top, right, bottom),)


def _set(options: Options, region: Region) -> Options:
    return replace(options, focal=(*options.focal, region))


FOCAL = Filter("focal", set=_set, parse=_parse)
