"""Colours in URLs as RGBA values.

CSS names, and 3, 6 or 8 hex digits without '#', as in imagor. imagor reads an unknown name as black; here it
is refused. Only the letter O for the digit 0, a common slip, is accepted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import webcolors

from imgproxy.errors import BadArgument

_HEX = re.compile(r"[0-9a-f]{3}|[0-9a-f]{6}|[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class Colour:
    """One colour; each part is 0–255, alpha 255 is opaque."""

    red: int
    green: int
    blue: int
    alpha: int = 255

    @property
    def rgb(self) -> list[int]:
        """The three colour parts, as libvips expects a background."""
        return [self.red, self.green, self.blue]

    @property
    def rgba(self) -> list[int]:
        """All four parts."""
        return [self.red, self.green, self.blue, self.alpha]

    @property
    def grey(self) -> bool:
        """Whether the three colour parts are equal."""
        return self.red == self.green == self.blue

    def __str__(self) -> str:
        digits = f"{self.red:02x}{self.green:02x}{self.blue:02x}"
        return digits if self.alpha == 255 else f"{digits}{self.alpha:02x}"


BLACK = Colour(0, 0, 0)
WHITE = Colour(255, 255, 255)
TRANSPARENT = Colour(0, 0, 0, 0)


def parse_colour(text: str, what: str) -> Colour:
    """Read a colour; raise `BadArgument` that begins with `what`."""
    word = text.lower()
    if word in ("none", "transparent"):
        return TRANSPARENT
    digits = word.replace("o", "0")
    if _HEX.fullmatch(digits):
        if len(digits) == 3:
            digits = "".join(digit * 2 for digit in digits)
        return Colour(*bytes.fromhex(digits))
    try:
        named = webcolors.name_to_rgb(word)
    except ValueError:
        raise BadArgument(
            f"{what}: a colour name or 3, 6 or 8 hex digits are expected, not '{text}'"
        ) from None
    return Colour(named.red, named.green, named.blue)
