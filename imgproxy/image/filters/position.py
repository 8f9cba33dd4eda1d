"""Position of an overlay on an image: the x and y of `watermark`, in all of imagor's forms."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from imgproxy.errors import BadArgument
from imgproxy.image.filters.arguments import Argument, number_text

_FORM = re.compile(
    r"(?P<word>left|right|top|bottom|l|r|t|b)(?:-(?P<inset>\d{1,5}))?"
    r"|(?P<lone>center|repeat)"
    r"|(?P<percent>-?\d{1,5}(?:\.\d{1,6})?)p"
    r"|(?P<fraction>-?0?\.\d{1,6})"
    r"|(?P<pixels>-?\d{1,5})",
    re.ASCII,
)
_NEAR = ("left", "top", "l", "t")


@dataclass(frozen=True, slots=True)
class Position:
    """A place along one axis. Negative values and `far` are counted from the far edge."""

    pixels: int = 0
    fraction: float = 0
    far: bool = False
    center: bool = False
    repeat: bool = False

    def offset(self, outer: int, inner: int) -> int:
        """Return the offset of an overlay of length `inner` on an image of length `outer`, in pixels."""
        if self.repeat:
            return 0
        if self.center:
            return int((outer - inner) / 2)
        begin = int(outer * self.fraction) + self.pixels
        if self.far:
            return outer - inner + begin
        return begin


@dataclass(frozen=True, slots=True)
class PositionArgument(Argument):
    """A position along one axis: pixels, `10p` or `0.1` of the image, or words such as `right-20`."""

    @property
    def default(self) -> Any:
        return Position()

    def parse(self, text: str, what: str) -> Position:
        found = _FORM.fullmatch(text)
        if found is None:
            raise BadArgument(
                f"{what}: pixels, a percentage such as 10p, a fraction such as 0.1, center, repeat or "
                f"an edge such as left-20 are expected, not '{text}'"
            )
        if found["lone"]:
            return Position(center=text == "center", repeat=text == "repeat")
        if found["word"]:
            inset = int(found["inset"] or 0)
            near = found["word"] in _NEAR
            return Position(pixels=inset if near else -inset, far=not near)
        far = text.startswith("-")
        if found["pixels"]:
            return Position(pixels=int(text), far=far)
        fraction = float(found["percent"]) / 100 if found["percent"] else float(found["fraction"])
        return Position(fraction=fraction, far=far)

    def text(self, value: Position) -> str:
        if value.center or value.repeat:
            return "center" if value.center else "repeat"
        edge = "far" if value.far else "near"
        return f"{edge}{value.pixels:+d}+{number_text(value.fraction)}"

    def scaled(self, value: Position, dpr: float) -> Position:
        return replace(value, pixels=round(value.pixels * dpr))
