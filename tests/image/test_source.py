"""Only names that one object can have become keys, and each object has one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgproxy.errors import BadArgument, BadKey
from imgproxy.image.colour import Colour
from imgproxy.image.source import MAX_KEY_BYTES, Key, PlainColour, decode_name, parse_key, parse_source


@pytest.mark.parametrize(
    ("text", "name", "encoded"),
    [
        ("a.jpg", "a.jpg", False),
        ("a%20b+c%2B.jpg", "a b c+.jpg", False),
        ("a%252Fb", "a%2Fb", False),
        ("100%", "100%", False),
        ("%zz%20", "%zz%20", False),
        ("%C3%A9", "é", False),
        ("é%20", "é ", False),
        ("%FF", "\udcff", False),
        ("\udcff", "\udcff", False),
        ("b64:Zm9v", "foo", True),
        ("b64%3AZm9v", "foo", True),
        ("b64:", "", True),
        ("b64:_-8", "\udcff\udcef", True),
        ("b64:Zm9v=", "b64:Zm9v=", False),
        ("b64:Zm9vX", "b64:Zm9vX", False),
        ("b64:Zm9+", "b64:Zm9 ", False),
    ],
)
def test_names_are_decoded_once_as_imagor_does(text: str, name: str, encoded: bool) -> None:
    assert decode_name(text) == (name, encoded)


@given(st.text())
def test_any_name_is_decoded(text: str) -> None:
    decode_name(text)


@pytest.mark.parametrize(
    "text", ["a", "a/b/c.jpg", "a b(1),é日.jpg", ".hidden", "a..b", "...", "a:b", "~", "*"]
)
def test_what_one_object_can_have_is_a_key(text: str) -> None:
    assert parse_key(text) == Key(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "names no image"),
        ("/a", "an empty one"),
        ("a/", "an empty one"),
        ("a//b", "an empty one"),
        (".", r"'\.'"),
        ("a/./b", r"'\.'"),
        ("..", r"'\.\.'"),
        ("a/../b", r"'\.\.'"),
        ("a\\b", "backslash"),
        ("a%2Fb", "still holds '%'"),
        ("100%", "still holds '%'"),
        ("a\nb", "control character"),
        ("a\x00b", "control character"),
        ("a\x7fb", "control character"),
        ("a\x85b", "control character"),
        ("a\u2028b", "control character"),
        ("\udcff", "not valid UTF-8"),
    ],
)
def test_what_no_object_can_have_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(BadKey, match=reason):
        parse_key(text)


def test_keys_are_as_long_as_s3_lets_them_be_in_bytes() -> None:
    assert parse_key("é" * (MAX_KEY_BYTES // 2))
    with pytest.raises(BadKey, match="1025 bytes"):
        parse_key("a" + "é" * (MAX_KEY_BYTES // 2))


@given(st.text("./\\%a\n é", max_size=12))
def test_a_key_stays_below_its_folder(text: str) -> None:
    try:
        key = parse_key(text)
    except BadKey:
        return
    segments = key.split("/")
    assert "/".join(segments) == text
    assert not {"", ".", ".."} & set(segments)


def test_a_colour_is_a_source_without_an_object() -> None:
    assert parse_source("color:red") == PlainColour(Colour(255, 0, 0))
    assert parse_source("photos/red.jpg") == Key("photos/red.jpg")
    with pytest.raises(BadArgument, match="color"):
        parse_source("color:nothing")
