"""padding(colour,left,top,right,bottom): a border around the image as it is now.

Two lengths are horizontal and vertical, as in the URL's padding segment.
"""

from imgproxy.image.colour import Colour
from imgproxy.image.filters.arguments import Integer, Paint
from imgproxy.image.filters.base import Extent, Filter, Image, Stage
from imgproxy.image.filters.canvas import nanoseconds, place

_LONGEST = 8192


def _resizes(
    extent: Extent, _colour: object, left: int, top: int | None, right: int | None, bottom: int | None
) -> Extent:
    above = left if top is None else top
    after = left if right is None else right
    below = above if bottom is None else bottom
    return extent._replace(width=extent.width + left + after, height=extent.height + above + below)


def _apply(
    image: Image, stage: Stage, colour: Colour | str, left: int, top: int | None, right: int | None,
    bottom: int | None,
) -> Image:  # fmt: skip
    width, height, *_ = _resizes(stage.extent, colour, left, top, right, bottom)
    above = left if top is None else top
    return place(image, stage, colour, left=left, top=above, width=width, height=height)


def _side(name: str) -> Integer:
    return Integer(name, 0, _LONGEST, None, scales=True)


PADDING = Filter(
    "padding",
    (
        Paint("colour", ("auto", "blur")),
        Integer("left", 0, _LONGEST, scales=True),
        _side("top"),
        _side("right"),
        _side("bottom"),
    ),
    apply=_apply,
    resizes=_resizes,
    nanoseconds=nanoseconds,
)
