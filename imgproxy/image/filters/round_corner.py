"""round_corner(rx,ry,colour): round the corners, `rx` across and `ry` down; without a colour see-through.

The arguments are imagor's; thumbor's `(r,red,green,blue)` would be read as `ry` and a colour, and refused.
"""

from imgproxy.image.colour import Colour
from imgproxy.image.filters.arguments import Integer, Paint
from imgproxy.image.filters.base import Filter, Image, Stage

_LARGEST = 8192


def _apply(image: Image, stage: Stage, rx: int, ry: int | None, colour: Colour | None) -> Image:
    width, height, *_ = stage.extent
    mask = stage.svg(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
        f'<rect rx="{rx}" ry="{rx if ry is None else ry}" width="{width}" height="{height}" '
        'fill="#fff"/></svg>'
    )
    solid = image if image.hasalpha() else image.addalpha()
    rounded = stage.each_frame(solid, lambda frame: frame.composite2(mask, "dest-in"))
    return rounded if colour is None else rounded.flatten(background=colour.rgb)


ROUND_CORNER = Filter(
    "round_corner",
    (
        Integer("rx", 0, _LARGEST, scales=True),
        Integer("ry", 0, _LARGEST, None, scales=True),
        Paint("colour", (), None),
    ),
    apply=_apply,
    nanoseconds=lambda *_: 22,
    idle=lambda rx, ry, _: rx == 0 or ry == 0,
)
