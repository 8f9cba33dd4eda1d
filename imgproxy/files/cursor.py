"""Cursors: the place in a list after which the next page begins, as text that clients send back.

A cursor is bound to the sort and direction it was made for. It holds the value and `seq` of the last file of
a page, and no right: the next page is filtered by the principal as the first one was.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from enum import StrEnum

from imgproxy.errors import InvalidRequest
from imgproxy.files.storable import is_storable

_MAX_LENGTH = 4096


class Sort(StrEnum):
    """Sort orders of lists; ties are broken by creation."""

    CREATED_AT = "createdAt"
    UPDATED_AT = "updatedAt"
    ORIGINAL_NAME = "originalName"
    SIZE = "size"
    MIME_TYPE = "mimeType"


@dataclass(frozen=True, slots=True)
class Place:
    """A file's place in an order: the value it is sorted by, and its `seq`."""

    value: int | str
    seq: int


_TEXTS = (Sort.ORIGINAL_NAME, Sort.MIME_TYPE)
_NUMBER_LIMIT = 2**63


def encode(place: Place, *, sort: Sort, descending: bool) -> str:
    """Return the cursor of a place."""
    text = json.dumps([sort, int(descending), place.value, place.seq], ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(text: str, *, sort: Sort, descending: bool) -> Place:
    """Return the place of a cursor; raise `InvalidRequest` if it is malformed or of another order."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        parsed = json.loads(raw.decode()) if len(text) <= _MAX_LENGTH else None
    except (binascii.Error, ValueError, RecursionError):
        parsed = None
    match parsed:
        case [str(made_for), int(direction), int() | str() as value, int() as seq] if _is_valid(
            sort, value
        ) and _is_number(seq):
            if (made_for, bool(direction)) == (sort.value, descending):
                return Place(value, seq)
            raise InvalidRequest("cursor: must be used with the sort and direction it was made for")
    raise InvalidRequest("cursor: must be `nextCursor` of an earlier page, got something else")


def _is_valid(sort: Sort, value: int | str) -> bool:
    if sort in _TEXTS:
        return isinstance(value, str) and is_storable(value)
    return _is_number(value)


def _is_number(value: int | str) -> bool:
    return type(value) is int and -_NUMBER_LIMIT <= value < _NUMBER_LIMIT
