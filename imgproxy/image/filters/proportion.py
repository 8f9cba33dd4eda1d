"""proportion(p): scale the picture by p, a fraction up to 1 or else a percentage up to 100.

As in imagor every number is taken: above 100 means 100, nothing and less than nothing mean no change,
and so does what would leave no pixel.
"""

from imgproxy.image.filters.arguments import Number
from imgproxy.image.filters.family import Filter, Image, Stage


def _factor(proportion: float) -> float:
    return min(proportion / 100 if proportion > 1 else proportion, 1.0)


def _apply(image: Image, stage: Stage, proportion: float) -> Image:
    factor = _factor(proportion)
    width, height = int(image.width * factor), int(image.height // stage.frames * factor)
    if width < 1 or height < 1:
        return image
    return stage.each_frame(image, lambda frame: frame.thumbnail_image(width, height=height, size="force"))


PROPORTION = Filter(
    "proportion",
    (Number("p", otherwise=0.0),),
    apply=_apply,
    idle=lambda proportion: not 0 < _factor(proportion) < 1,
)
