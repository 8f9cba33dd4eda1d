"""rotate(angle): turn counter-clockwise by 0, 90, 180 or 270 degrees, after resizing (thumbor, imagor)."""

from imgproxy.image.filters.arguments import Word
from imgproxy.image.filters.base import Extent, Filter, Image, Stage

_CLOCKWISE = {"90": "d270", "180": "d180", "270": "d90"}


def _resizes(extent: Extent, angle: str) -> Extent:
    if angle == "180":
        return extent
    left, top, right, bottom = extent.padding
    return Extent(extent.height, extent.width, extent.box[::-1], (top, left, bottom, right))


def _apply(image: Image, stage: Stage, angle: str) -> Image:
    return stage.each_frame(image, lambda frame: frame.rot(_CLOCKWISE[angle]))


ROTATE = Filter(
    "rotate",
    (Word("angle", ("0", "90", "180", "270")),),
    apply=_apply,
    idle=lambda angle: angle == "0",
    resizes=_resizes,
    nanoseconds=lambda _: 4,
)
