"""sharpen(amount) or sharpen(amount,sigma): unsharp mask in Lab of sigma 1 + 2 × the last number (imagor).

At -0.5 and below sigma is not positive and nothing happens. libvips takes sigmas up to 10; where imagor asks
for more it comes out with libvips's default of 0.5, and so do we. Each frame is sharpened by itself.
A third argument, thumbor's `luminance_only`, is always true here.
"""

from imgproxy.image.filters.arguments import Number, Word
from imgproxy.image.filters.base import Filter, Image, Stage, premultiplied

_SMALLEST, _LARGEST, _DEFAULT = 0.000001, 10, 0.5  # libvips complains to the terminal beyond the two

_AMPLITUDE = 0.1  # where libvips's sharpen cuts its Gaussian off


def _sigma(amount: float, sigma: float | None) -> float:
    asked = 1 + 2 * (amount if sigma is None else sigma)
    return asked if asked <= _LARGEST else _DEFAULT


def _apply(image: Image, stage: Stage, amount: float, sigma: float | None, _luminance: str | None) -> Image:
    if stage.imagor and stage.frames > 1:
        return image
    reach = _sigma(amount, sigma)

    def mask(frame: Image) -> Image:
        return (frame if stage.imagor else _bled(frame, reach)).sharpen(sigma=reach, x1=1, m2=2)

    return stage.each_frame(image, mask)


def _bled(frame: Image, sigma: float) -> Image:
    """Let visible colours run into the transparent pixels that the mask would take for an edge.

    Colours weighted by alpha alone would end in black there, and the rim of every shape would get lighter.
    The kernel is the mask's own, so each pixel that a visible one is compared with has been reached.
    """
    if not frame.hasalpha():
        return frame
    last = frame.bands - 1
    near = premultiplied(frame, lambda weighted: weighted.gaussblur(max(sigma, 0.5), min_ampl=_AMPLITUDE))
    alpha = frame.extract_band(last)
    hidden = near.extract_band(0, n=last)
    return (alpha == 0).ifthenelse(hidden, frame.extract_band(0, n=last)).bandjoin(alpha)


SHARPEN = Filter(
    "sharpen",
    (
        Number("amount", -10, 10),
        Number("sigma", -10, 4.5, None),
        Word("luminance_only", ("true", "1"), None),
    ),
    apply=_apply,
    nanoseconds=lambda *_: 90,
    idle=lambda amount, sigma, _: _sigma(amount, sigma) < _SMALLEST,
)
