"""brightness(percent): add percent of full scale to each colour."""

from imgproxy.image.filters.arguments import Number
from imgproxy.image.filters.base import Filter, Image, Stage, on_colours


def _apply(image: Image, _stage: Stage, percent: float) -> Image:
    return on_colours(image, lambda colours: colours + percent * 255 / 100)


BRIGHTNESS = Filter(
    "brightness",
    (Number("percent", -100, 100),),
    apply=_apply,
    nanoseconds=lambda *_: 9,
    idle=lambda percent: percent == 0,
)
