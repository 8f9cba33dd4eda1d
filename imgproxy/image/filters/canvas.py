"""Placement of an image on a larger canvas, shared by `fill` and `padding`."""

from imgproxy.image.colour import Colour
from imgproxy.image.filters.base import Image, Stage, gaussian

_BLUR_SIGMA = 50
_PROBE = 64  # pixels; a mean needs no more


def nanoseconds(colour: Colour | str, *_: object) -> float:
    """Return the CPU time of `place` per pixel."""
    return 55 if colour == "blur" else 2


def mean_colour(image: Image) -> Colour:
    """Return the mean colour of an image over white."""
    opaque = image.flatten(background=[255, 255, 255]) if image.hasalpha() else image
    probe = opaque.thumbnail_image(_PROBE)
    return Colour(*(round(probe.extract_band(band).avg()) for band in range(3)))


def place(
    image: Image, stage: Stage, colour: Colour | str, *, left: int, top: int, width: int, height: int
) -> Image:
    """Lay the image at `left`, `top` on a canvas of `width` x `height` in `colour`.

    A colour that is not transparent also goes behind the image's own transparent parts (imagor).
    `auto` is the image's mean; `blur` is the image itself, stretched and blurred, frame by frame
    (black behind animations in imagor).
    """
    if colour == "blur" and not (stage.imagor and stage.frames > 1):

        def before_itself(frame: Image) -> Image:
            stretched = frame.thumbnail_image(width, height=height, size="force")
            backdrop = gaussian(stretched, _BLUR_SIGMA, weighted=not stage.imagor)
            return backdrop.composite2(frame, "over", x=left, y=top)

        return stage.each_frame(image, before_itself)
    if colour == "auto":
        colour = mean_colour(image)
    paint = colour if isinstance(colour, Colour) else Colour(0, 0, 0)
    if paint.alpha < 255:
        solid, background = (image if image.hasalpha() else image.addalpha()), paint.rgba
    else:
        solid = image.flatten(background=paint.rgb) if image.hasalpha() else image
        background = paint.rgb
    return stage.each_frame(
        solid,
        lambda frame: frame.embed(left, top, width, height, extend="background", background=background),
    )
