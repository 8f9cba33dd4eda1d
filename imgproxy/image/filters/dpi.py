"""dpi(n): pixels per inch of a PDF's page, 72 unless told; what `WxH` then makes of it is as of any image."""

from dataclasses import replace

from imgproxy.image.filters.arguments import Number
from imgproxy.image.filters.base import Filter
from imgproxy.image.options import Options


def _set(options: Options, dpi: float) -> Options:
    return replace(options, dpi=dpi)


DPI = Filter("dpi", (Number("n", 1, 2400),), set=_set)
