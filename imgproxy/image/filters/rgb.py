"""rgb(r,g,b): add percent of full scale to each colour by itself."""

from imgproxy.image.filters.arguments import Number
from imgproxy.image.filters.base import Filter, Image, Stage, on_colours


def _apply(image: Image, _stage: Stage, red: float, green: float, blue: float) -> Image:
    added = [percent * 255 / 100 for percent in (red, green, blue)]
    return on_colours(image, lambda colours: colours + added)


RGB = Filter(
    "rgb",
    (Number("r", -100, 100), Number("g", -100, 100), Number("b", -100, 100)),
    apply=_apply,
    nanoseconds=lambda *_: 12,
    idle=lambda *percents: not any(percents),
)
