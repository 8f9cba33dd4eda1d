"""A cache in front is read into one value, or refused."""

from __future__ import annotations

import pytest

from imgproxy.edge.target import Target, parse


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("http://127.0.0.1:8081/{key}", Target("PURGE", "http://127.0.0.1:8081/{key}")),
        ("PURGE https://a/{tag}", Target("PURGE", "https://a/{tag}")),
        (" POST https://a/purge ", Target("POST", "https://a/purge")),
    ],
)
def test_a_cache_is_written_as_method_and_url(text: str, target: Target) -> None:
    assert parse(text) == target


@pytest.mark.parametrize(
    "text", ["", "a.example/{key}", "GET https://a/{key}", "https://a/", "ftp://a/{key}"]
)
def test_what_is_no_cache_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse(text)
