"""Tests of `imgproxy.files.cursor`."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgproxy.errors import InvalidRequest
from imgproxy.files.cursor import Place, Sort, decode, encode

_NUMBERS = st.integers(-(2**63), 2**63 - 1)
_PLAIN = st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])
_TEXTS = st.text(_PLAIN, max_size=200)
_PLACES = st.one_of(
    st.tuples(st.sampled_from([Sort.CREATED_AT, Sort.UPDATED_AT, Sort.SIZE]), _NUMBERS, _NUMBERS),
    st.tuples(st.sampled_from([Sort.ORIGINAL_NAME, Sort.MIME_TYPE]), _TEXTS, _NUMBERS),
)


@given(place=_PLACES, descending=st.booleans())
def test_decode_inverts_encode(place: tuple[Sort, int | str, int], descending: bool) -> None:
    sort, value, seq = place
    written = encode(Place(value, seq), sort=sort, descending=descending)
    assert decode(written, sort=sort, descending=descending) == Place(value, seq)


@pytest.mark.parametrize(("sort", "descending"), [(Sort.SIZE, False), (Sort.CREATED_AT, True)])
def test_decode_cursor_of_another_order_raises(sort: Sort, descending: bool) -> None:
    written = encode(Place(1, 1), sort=Sort.CREATED_AT, descending=False)
    with pytest.raises(InvalidRequest, match="sort and direction it was made for"):
        decode(written, sort=sort, descending=descending)


def _raw(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "!",
        "a",
        "é",
        _raw(None),
        _raw({}),
        _raw(["createdAt", 1, 1]),
        _raw(["createdAt", 1, "1", 2]),
        _raw(["createdAt", 1, 2**63, 2]),
        _raw(["createdAt", 1, True, 2]),
        _raw(["createdAt", 1, 1.5, 2]),
        _raw(["createdAt", 1, 1, 2**63]),
        _raw(["createdAt", 1, 1, "a"]),
        base64.urlsafe_b64encode(b"\xff").decode(),
        base64.urlsafe_b64encode(b"[" * 4000).decode(),
    ],
)
def test_decode_malformed_cursor_raises(text: str) -> None:
    with pytest.raises(InvalidRequest, match="must be `nextCursor`"):
        decode(text, sort=Sort.CREATED_AT, descending=True)


def test_decode_text_that_no_column_can_hold_raises() -> None:
    written = encode(Place("a\0", 1), sort=Sort.ORIGINAL_NAME, descending=True)
    with pytest.raises(InvalidRequest):
        decode(written, sort=Sort.ORIGINAL_NAME, descending=True)
