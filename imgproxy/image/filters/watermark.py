"""watermark(key,x,y,alpha,w,h): lay another object of the storage over the image.

`alpha` is how see-through it is, 0–100; `w` and `h` fit it into that percentage of the image, `none`
leaves a side free. Without them it has its own size. An animated watermark plays along.
"""

from __future__ import annotations

from typing import Any

from imgproxy.errors import BadArgument
from imgproxy.image.filters.arguments import Argument, Integer, Number
from imgproxy.image.filters.base import Filter, Image, Stage
from imgproxy.image.filters.position import Position, PositionArgument
from imgproxy.image.source import decode_name

_LONGEST = 8192


class _Name(Argument):
    """A key, percent-encoded or `b64:`; whether it can be one is checked with the source image's key."""

    def parse(self, text: str, what: str) -> str:
        name = decode_name(text)[0]
        if len(name) > _LONGEST:
            raise BadArgument(f"{what}: the key is too long")
        return name


class _Share(Integer):
    """A percentage of the image's side, or `none`."""

    def parse(self, text: str, what: str) -> Any:
        return "none" if text == "none" else Integer.parse(self, text, what)


def _within(stage: Stage, width: int | str | None, height: int | str | None) -> Any:
    if width is None and height is None:
        return None
    across, down, *_ = stage.extent
    across = across * width // 100 if isinstance(width, int) else across
    return max(across, 1), max(down * height // 100 if isinstance(height, int) else down, 1)


def _apply(
    image: Image,
    stage: Stage,
    key: str,
    x: Position,
    y: Position,
    alpha: float,
    width: int | str | None,
    height: int | str | None,
) -> Image:
    overlay = stage.overlay(key, within=_within(stage, width, height), frames=stage.frames)
    if alpha:
        overlay = overlay * [1, 1, 1, 1 - alpha / 100]
    overlay = overlay.cast("uchar").copy(interpretation="srgb")
    across, down, *_ = stage.extent
    wide, high = overlay.width, overlay.height // stage.frames
    left, top = x.offset(across, wide), y.offset(down, high)
    if not (-wide < left < across and -high < top < down):
        return image  # all of it lies outside
    times = across // wide + 1 if x.repeat else 1, down // high + 1 if y.repeat else 1

    def spread(frame: Image) -> Image:
        return frame.replicate(*times).embed(left, top, across, down, extend="black")

    return image.composite2(stage.each_frame(overlay, spread), "over")


WATERMARK = Filter(
    "watermark",
    (
        _Name("key"),
        PositionArgument("x"),
        PositionArgument("y"),
        Number("alpha", 0, 100, 0.0),
        _Share("w", 1, 1000, None),
        _Share("h", 1, 1000, None),
    ),
    apply=_apply,
    nanoseconds=lambda *_: 15,
    keys=lambda key, *_: (key,),
)
