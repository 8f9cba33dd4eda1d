"""Cursors: the place in a list after which the next page begins, as text that clients hand back.

A cursor is bound to the sort and direction it was made for. It holds nothing but facts of the last file that
was shown, and what it finds is still held against what the principal may see: made up, it shows nobody
more than he could see anyway.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from enum import StrEnum

from imgproxy.errors import InvalidRequest
from imgproxy.files.storable import is_one_line, is_storable

_LONGEST = 4096


class Sort(StrEnum):
    """What a list may be sorted by; ties are broken by id."""

    CREATED_AT = "createdAt"
    UPDATED_AT = "updatedAt"
    ORIGINAL_NAME = "originalName"
    SIZE = "size"
    MIME_TYPE = "mimeType"


@dataclass(frozen=True, slots=True)
class Place:
    """A file's place in an order."""

    value: int | str
    id: str


_TEXTS = (Sort.ORIGINAL_NAME, Sort.MIME_TYPE)
_BIGGEST = 2**63


def encode(place: Place, *, sort: Sort, descending: bool) -> str:
    """Write a cursor."""
    text = json.dumps([sort, int(descending), place.value, place.id], ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(text: str, *, sort: Sort, descending: bool) -> Place:
    """Read a cursor; raise `InvalidRequest` if it is none, or one of another order."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        found = json.loads(raw.decode()) if len(text) <= _LONGEST else None
    except (binascii.Error, ValueError, RecursionError):
        found = None
    match found:
        case [str(named), int(direction), int() | str() as value, str(id_)] if _is_of(
            sort, value
        ) and is_one_line(id_):
            if (named, bool(direction)) == (sort.value, descending):
                return Place(value, id_)
            raise InvalidRequest("the cursor was made for another sort or direction")
    raise InvalidRequest("the cursor is none of ours")


def _is_of(sort: Sort, value: int | str) -> bool:
    if sort in _TEXTS:
        return isinstance(value, str) and is_storable(value)
    return type(value) is int and -_BIGGEST <= value < _BIGGEST
