"""fill(colour): centre the picture in the box that was asked for, plus the URL's padding.

The colour may be `none`, `auto` (the picture's mean) or `blur`. Thumbor's second argument, whether
transparent parts are filled too, is always true here, as in imagor.
"""

from imgproxy.image.colour import Colour
from imgproxy.image.filters.arguments import Paint, Word
from imgproxy.image.filters.canvas import place
from imgproxy.image.filters.family import Filter, Image, Stage


def _apply(image: Image, stage: Stage, colour: Colour | str, _transparent: str | None) -> Image:
    width, height = stage.box
    left, top, right, bottom = stage.padding
    return place(
        image,
        stage,
        colour,
        left=int((width - image.width) / 2) + left,
        top=int((height - image.height // stage.frames) / 2) + top,
        width=width + left + right,
        height=height + top + bottom,
    )


FILL = Filter(
    "fill",
    (Paint("colour", ("auto", "blur")), Word("fill_transparent", ("true", "1"), None)),
    apply=_apply,
)
