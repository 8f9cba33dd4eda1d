"""sharpen(amount) or sharpen(amount,sigma): unsharp mask in Lab of sigma 1 + 2 × the last number (imagor).

At -0.5 and below sigma is not positive and nothing happens. Animations stay as they are.
A third argument, thumbor's `luminance_only`, is always true here.
"""

from imgproxy.image.filters.arguments import Number, Word
from imgproxy.image.filters.family import Filter, Image, Stage


def _sigma(amount: float, sigma: float | None) -> float:
    return 1 + 2 * (amount if sigma is None else sigma)


def _apply(image: Image, stage: Stage, amount: float, sigma: float | None, _luminance: str | None) -> Image:
    if stage.frames > 1:
        return image
    return image.sharpen(sigma=_sigma(amount, sigma), x1=1, m2=2)


SHARPEN = Filter(
    "sharpen",
    (
        Number("amount", -10, 10),
        Number("sigma", -10, 4.5, None),  # libvips takes sigmas up to 10
        Word("luminance_only", ("true", "1"), None),
    ),
    apply=_apply,
    idle=lambda amount, sigma, _: _sigma(amount, sigma) <= 0,
)
