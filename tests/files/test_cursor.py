"""Promises of `imgproxy.files.cursor`."""

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
_IDS = st.text(_PLAIN, max_size=40)
_PLACES = st.one_of(
    st.tuples(st.sampled_from([Sort.CREATED_AT, Sort.UPDATED_AT, Sort.SIZE]), _NUMBERS, _IDS),
    st.tuples(st.sampled_from([Sort.ORIGINAL_NAME, Sort.MIME_TYPE]), _TEXTS, _IDS),
)


@given(place=_PLACES, descending=st.booleans())
def test_what_was_written_is_read(place: tuple[Sort, int | str, str], descending: bool) -> None:
    sort, value, id_ = place
    written = encode(Place(value, id_), sort=sort, descending=descending)
    assert decode(written, sort=sort, descending=descending) == Place(value, id_)


@pytest.mark.parametrize(("sort", "descending"), [(Sort.SIZE, False), (Sort.CREATED_AT, True)])
def test_a_cursor_of_another_order_is_refused(sort: Sort, descending: bool) -> None:
    written = encode(Place(1, "a"), sort=Sort.CREATED_AT, descending=False)
    with pytest.raises(InvalidRequest, match="another sort or direction"):
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
        _raw(["createdAt", 1, "1", "a"]),
        _raw(["createdAt", 1, 2**63, "a"]),
        _raw(["createdAt", 1, True, "a"]),
        _raw(["createdAt", 1, 1.5, "a"]),
        _raw(["createdAt", 1, 1, 2]),
        base64.urlsafe_b64encode(b"\xff").decode(),
        base64.urlsafe_b64encode(b"[" * 4000).decode(),
    ],
)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="none of ours"):
        decode(text, sort=Sort.CREATED_AT, descending=True)


def test_a_text_that_no_column_can_hold_is_refused() -> None:
    written = encode(Place("a\0", "a"), sort=Sort.ORIGINAL_NAME, descending=True)
    with pytest.raises(InvalidRequest):
        decode(written, sort=Sort.ORIGINAL_NAME, descending=True)
