"""Which bytes of an object a `Range` header asks for (RFC 9110 §14). Pure.

One range is served; several at once, and what is not in the grammar, are ignored, as the RFC allows, and
the whole is answered.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `start` to `end`, exclusive; never empty."""

    start: int
    end: int


class OutOfRange(Exception):
    """The range asked for has not one byte of the object: 416."""


def requested(header: str | None, size: int) -> Span | None:
    """Return what is asked for of an object of `size` bytes; None is the whole. Raise `OutOfRange`."""
    found = _RANGE.fullmatch(header or "")
    if found is None or found[1] == found[2] == "":
        return None
    first, last = found[1], found[2]
    if first == "":
        span = Span(max(0, size - int(last)), size)
    elif last == "" or int(last) >= size:
        span = Span(int(first), size)
    else:
        span = Span(int(first), int(last) + 1)
    if last and first and int(last) < int(first):
        return None
    if span.start >= span.end:
        raise OutOfRange
    return span
