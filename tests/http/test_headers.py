"""Header fields that several endpoints share."""

from __future__ import annotations

import pytest

from imgproxy.http.headers import names_etag


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ('"a"', True),
        ('W/"a"', True),
        ('"b", "a"', True),
        ("*", True),
        ('"b"', False),
        ("a", False),
        (None, False),
    ],
)
def test_names_etag_compares_weakly(header: str | None, named: bool) -> None:
    assert names_etag(header, '"a"') == named
