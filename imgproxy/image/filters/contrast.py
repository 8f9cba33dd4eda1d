"""contrast(percent): stretch or flatten around middle grey, by the 259 formula (imagor)."""

from imgproxy.image.filters.arguments import Number
from imgproxy.image.filters.base import Filter, Image, Stage, on_colours


def _apply(image: Image, _stage: Stage, percent: float) -> Image:
    level = percent * 255 / 100
    factor = 259 * (level + 255) / (255 * (259 - level))
    return on_colours(image, lambda colours: colours * factor + (128 - 128 * factor))


CONTRAST = Filter(
    "contrast",
    (Number("percent", -100, 100),),
    apply=_apply,
    nanoseconds=lambda *_: 9,
    idle=lambda percent: percent == 0,
)
