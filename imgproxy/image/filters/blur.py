"""blur(radius) or blur(radius,sigma): Gaussian blur of sigma radius/2, or of the sigma given (imagor).

Animations stay as they are: a blur across the strip of frames would mix them.
"""

from imgproxy.image.filters.arguments import Number
from imgproxy.image.filters.family import Filter, Image, Stage


def _sigma(radius: float, sigma: float | None) -> float:
    return radius / 2 if sigma is None else sigma


def _apply(image: Image, stage: Stage, radius: float, sigma: float | None) -> Image:
    if stage.frames > 1:
        return image
    return image.gaussblur(_sigma(radius, sigma))


BLUR = Filter(
    "blur",
    (Number("radius", 0, 150, scales=True), Number("sigma", 0, 150, None, scales=True)),
    apply=_apply,
    idle=lambda radius, sigma: _sigma(radius, sigma) <= 0,
)
