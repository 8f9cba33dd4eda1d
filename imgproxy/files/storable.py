"""Text that a database, an HTTP header, and an object store can hold: the one check for what clients send.

PostgreSQL refuses NUL, no encoder takes a lone surrogate (a header's byte that is not UTF-8, `"\\ud800"` in
JSON), and line breaks tear headers and logs apart.
"""

from __future__ import annotations

import re

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_BREAK = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def is_storable(text: str) -> bool:
    """Return whether a text is free of control characters, line breaks aside, and of lone surrogates."""
    return _CONTROL.search(text) is None


def is_one_line(text: str) -> bool:
    """Return whether a storable text has no line breaks either, so that a header can hold it."""
    return _BREAK.search(text) is None
