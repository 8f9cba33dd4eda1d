"""sharpen(amount) or sharpen(amount,sigma): unsharp mask in Lab of sigma 1 + 2 × the last number (imagor).

At -0.5 and below sigma is not positive and nothing happens. libvips takes sigmas up to 10; where imagor asks
for more it comes out with libvips's default of 0.5, and so do we. Animations stay as they are.
A third argument, thumbor's `luminance_only`, is always true here.
"""

from imgproxy.image.filters.arguments import Number, Word
from imgproxy.image.filters.family import Filter, Image, Stage

_SMALLEST, _LARGEST, _DEFAULT = 0.000001, 10, 0.5  # libvips complains to the terminal beyond the two


def _sigma(amount: float, sigma: float | None) -> float:
    asked = 1 + 2 * (amount if sigma is None else sigma)
    return asked if asked <= _LARGEST else _DEFAULT


def _apply(image: Image, stage: Stage, amount: float, sigma: float | None, _luminance: str | None) -> Image:
    if stage.frames > 1:
        return image
    return image.sharpen(sigma=_sigma(amount, sigma), x1=1, m2=2)


SHARPEN = Filter(
    "sharpen",
    (
        Number("amount", -10, 10),
        Number("sigma", -10, 4.5, None),
        Word("luminance_only", ("true", "1"), None),
    ),
    apply=_apply,
    idle=lambda amount, sigma, _: _sigma(amount, sigma) < _SMALLEST,
)
