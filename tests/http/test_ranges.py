"""A range is read as RFC 9110 has it, and what is none is the whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgproxy.http.ranges import OutOfRange, Span, requested


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", Span(0, 1)),
        ("bytes=0-9", Span(0, 10)),
        ("bytes=3-", Span(3, 10)),
        ("bytes=9-9", Span(9, 10)),
        ("bytes=5-5000000", Span(5, 10)),
        ("bytes=-1", Span(9, 10)),
        ("bytes=-99", Span(0, 10)),
        ("Bytes= 1-2 ", Span(1, 3)),
    ],
)
def test_one_range_is_that_range(header: str, expected: Span) -> None:
    assert requested(header, 10) == expected


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes=",
        "bytes=-",
        "bytes=0-1,3-4",
        "bytes=4-2",
        "bytes=a-b",
        "bytes=1-2-3",
        "bytes=--1",
        "bytes=٣-٤",
        "lines=0-1",
        "0-1",
        "bytes=" + "9" * 400 + "-",
    ],
)
def test_what_is_not_one_range_is_the_whole(header: str | None) -> None:
    assert requested(header, 10) is None


@pytest.mark.parametrize(
    ("header", "size"),
    [("bytes=10-", 10), ("bytes=10-20", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=-5", 0)],
)
def test_a_range_without_a_byte_is_out_of_range(header: str, size: int) -> None:
    with pytest.raises(OutOfRange):
        requested(header, size)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 20))
def test_a_span_is_within_and_not_empty(first: int, last: int, size: int) -> None:
    try:
        span = requested(f"bytes={first}-{last}", size)
    except OutOfRange:
        assert first >= size
        return
    expected = range(size)[first : last + 1] if first <= last else None
    assert (span and range(span.start, span.end)) == expected
