"""proportion(p): scale the image by p, a fraction up to 1 or else a percentage up to 100.

As in imagor every number is taken: above 100 means 100, nothing and less than nothing mean no change,
and so does what would leave no pixel.
"""

from imgproxy.image.filters.arguments import Number
from imgproxy.image.filters.base import Extent, Filter, Image, Stage


def _factor(proportion: float) -> float:
    return min(proportion / 100 if proportion > 1 else proportion, 1.0)


def _resizes(extent: Extent, proportion: float) -> Extent:
    factor = _factor(proportion)
    width, height = int(extent.width * factor), int(extent.height * factor)
    return extent._replace(width=width, height=height) if width and height else extent


def _apply(image: Image, stage: Stage, proportion: float) -> Image:
    width, height, *_ = _resizes(stage.extent, proportion)
    return stage.each_frame(image, lambda frame: frame.thumbnail_image(width, height=height, size="force"))


PROPORTION = Filter(
    "proportion",
    (Number("p", otherwise=0.0),),
    apply=_apply,
    resizes=_resizes,
    nanoseconds=lambda _: 4,
    idle=lambda proportion: not 0 < _factor(proportion) < 1,
)
