"""background_color(colour): put a colour, or `auto` for the image's mean, behind transparent parts."""

from imgproxy.image.colour import Colour
from imgproxy.image.filters.arguments import Paint
from imgproxy.image.filters.base import Filter, Image, Stage
from imgproxy.image.filters.canvas import mean_colour


def _apply(image: Image, _stage: Stage, colour: Colour | str) -> Image:
    if not image.hasalpha():
        return image
    behind = colour if isinstance(colour, Colour) else mean_colour(image)
    return image.flatten(background=behind.rgb)


BACKGROUND_COLOR = Filter(
    "background_color",
    (Paint("colour", ("auto",)),),
    apply=_apply,
    nanoseconds=lambda *_: 5,
)
