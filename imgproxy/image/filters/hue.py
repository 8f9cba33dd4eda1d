"""hue(degrees): turn every colour around the hue circle, in LCh."""

from imgproxy.image.filters.arguments import Number
from imgproxy.image.filters.base import Filter, Image, Stage, on_colours


def _apply(image: Image, _stage: Stage, degrees: float) -> Image:
    turn = [0, 0, degrees]
    return on_colours(image, lambda colours: (colours.colourspace("lch") + turn).colourspace("srgb"))


HUE = Filter(
    "hue",
    (Number("degrees", -360, 360),),
    apply=_apply,
    nanoseconds=lambda *_: 60,
    idle=lambda degrees: degrees % 360 == 0,
)
