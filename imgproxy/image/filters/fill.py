"""fill(colour): centre the image in the box that was asked for, plus the URL's padding.

The colour may be `none`, `auto` (the image's mean) or `blur`. Thumbor's second argument, whether
transparent parts are filled too, is always true here, as in imagor.
"""

from imgproxy.image.colour import Colour
from imgproxy.image.filters.arguments import Paint, Word
from imgproxy.image.filters.base import Extent, Filter, Image, Stage
from imgproxy.image.filters.canvas import nanoseconds, place


def _resizes(extent: Extent, *_: object) -> Extent:
    (width, height), (left, top, right, bottom) = extent.box, extent.padding
    return extent._replace(width=width + left + right, height=height + top + bottom)


def _apply(image: Image, stage: Stage, colour: Colour | str, _transparent: str | None) -> Image:
    (across, down), (left, top, *_) = stage.extent.box, stage.extent.padding
    width, height, *_ = _resizes(stage.extent)
    return place(
        image,
        stage,
        colour,
        left=int((across - stage.extent.width) / 2) + left,
        top=int((down - stage.extent.height) / 2) + top,
        width=width,
        height=height,
    )


FILL = Filter(
    "fill",
    (Paint("colour", ("auto", "blur")), Word("fill_transparent", ("true", "1"), None)),
    apply=_apply,
    resizes=_resizes,
    nanoseconds=nanoseconds,
)
