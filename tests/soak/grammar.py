"""Random URLs by the edge's own grammar: every filter with arguments at and within its bounds."""

from __future__ import annotations

import math
from random import Random
from typing import Any

from imgproxy.image.filters import FILTERS
from imgproxy.image.filters.arguments import Integer, Number, Paint, Text, Word
from imgproxy.image.formats import WRITTEN

_SIZES = (0, 1, 2, 7, 16, 40, 99, 300, 640, 1999, 4096, 8192, 8193)
_COLOURS = ("red", "transparent", "00ff0080", "none", "auto", "blur", "white")
_MORE = ("smart", "left", "right", "center", "top", "bottom", "middle")
_MANNERS = ("", "fit-in", "stretch", "full-fit-in", "adaptive-fit-in", "trim", "trim:20", "trim:bottom-right")
_LONGEST = 12  # filters in one URL; more are refused


def url(draw: Random, keys: list[str]) -> str:
    """One target, which need not be one that is served."""
    parts = [draw.choice(_MANNERS)] if draw.random() < 0.6 else []
    if draw.random() < 0.3:
        left, top, right, bottom = (draw.choice(_SIZES) for _ in range(4))
        parts.append(f"{left}x{top}:{right}x{bottom}")
    if draw.random() < 0.9:
        signs = [draw.choice(("", "", "", "-")) for _ in range(2)]
        parts.append(f"{signs[0]}{draw.choice(_SIZES)}x{signs[1]}{draw.choice(_SIZES)}")
    if draw.random() < 0.2:
        parts.append(draw.choice(_MORE))
    if draw.random() < 0.8:
        most = _LONGEST if draw.random() < 0.1 else 3
        calls = [_call(draw, keys) for _ in range(draw.randint(1, most))]
        parts.append("filters:" + ":".join(calls))
    source = draw.choice(keys) if draw.random() < 0.9 else f"color:{draw.choice(_COLOURS)}"
    return "/" + "/".join(part for part in [*parts, source] if part)


def _call(draw: Random, keys: list[str]) -> str:
    """One filter; some of its arguments may be left out."""
    made = draw.choice(FILTERS)
    given = [_argument(draw, each, keys) for each in made.arguments]
    if given and draw.random() < 0.3:
        del given[draw.randint(1, len(given)) :]
    return f"{made.name}({','.join(given)})"


def _argument(draw: Random, argument: Any, keys: list[str]) -> str:
    match argument:
        case Integer(low=low, high=high):
            return str(
                draw.choice((low, high, draw.randint(low, high), draw.randint(low, min(high, low + 50))))
            )
        case Number(low=low, high=high):
            low, high = max(low, -100.0), min(high, 100.0) if math.isinf(high) else high
            return f"{draw.choice((low, high, draw.uniform(low, high), draw.uniform(low, low + 3))):.4g}"
        case Paint():
            return draw.choice(_COLOURS)
        case Word(words=words):
            return draw.choice(words)
        case Text():
            return "name"
    if argument.name == "key":
        return draw.choice(keys)
    if argument.name in ("x", "y"):
        return draw.choice(("0", "-10", "10p", "center", "repeat", "9000", "left", "-20p"))
    if argument.name in ("w", "h"):
        return draw.choice(("none", "1", "50", "400", "1000"))
    return draw.choice([each.value for each in WRITTEN])
