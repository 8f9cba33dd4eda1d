"""UUIDv7 in text (RFC 9562 §5.7): ids that sort by when they were drawn, and cannot be guessed.

A millisecond's ids are in no order among themselves. 74 bits are drawn, so that two ids of the same
millisecond meet never in practice.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

_DRAWN_BYTES = 10
_VERSION = 7 << 76
_VARIANT = 2 << 62


def uuid7(now: int, draw: Callable[[int], bytes]) -> str:
    """Draw an id at `now`, in milliseconds since 1970; `draw(n)` gives n random bytes."""
    drawn = int.from_bytes(draw(_DRAWN_BYTES), "big")
    high, low = drawn >> 62 & 0xFFF, drawn & (1 << 62) - 1
    return str(uuid.UUID(int=now << 80 | _VERSION | high << 64 | _VARIANT | low))


def drawn_at(id_: str) -> int:
    """When a UUIDv7 was drawn, in milliseconds since 1970."""
    return uuid.UUID(id_).int >> 80
