"""grayscale(): luminance only."""

from imgproxy.image.filters.base import Filter, Image, Stage


def _apply(image: Image, _stage: Stage) -> Image:
    return image.colourspace("b-w")


GRAYSCALE = Filter("grayscale", apply=_apply, nanoseconds=lambda *_: 8)
