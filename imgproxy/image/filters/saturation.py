"""saturation(percent): more or less chroma, in LCh; -100 is grey (imagor)."""

from imgproxy.image.filters.arguments import Number
from imgproxy.image.filters.base import Filter, Image, Stage, on_colours


def _apply(image: Image, _stage: Stage, percent: float) -> Image:
    chroma = 1 + percent / 100
    return on_colours(
        image, lambda colours: (colours.colourspace("lch") * [1, chroma, 1]).colourspace("srgb")
    )


SATURATION = Filter(
    "saturation",
    (Number("percent", -100, 1000),),
    apply=_apply,
    nanoseconds=lambda *_: 60,
    idle=lambda percent: percent == 0,
)
