"""blur(radius) or blur(radius,sigma): Gaussian blur of sigma radius/2, or of the sigma given (imagor).

Each frame is blurred by itself, with colours weighted by alpha; imagor does neither.
"""

from imgproxy.image.filters.arguments import Number
from imgproxy.image.filters.base import Filter, Image, Stage, gaussian


def _sigma(radius: float, sigma: float | None) -> float:
    return radius / 2 if sigma is None else sigma


def _apply(image: Image, stage: Stage, radius: float, sigma: float | None) -> Image:
    if stage.imagor and stage.frames > 1:
        return image
    return stage.each_frame(
        image, lambda frame: gaussian(frame, _sigma(radius, sigma), weighted=not stage.imagor)
    )


BLUR = Filter(
    "blur",
    (Number("radius", 0, 150, scales=True), Number("sigma", 0, 150, None, scales=True)),
    apply=_apply,
    nanoseconds=lambda radius, sigma: 3 + _sigma(radius, sigma) ** 2 / 120,
    idle=lambda radius, sigma: _sigma(radius, sigma) <= 0,
)
