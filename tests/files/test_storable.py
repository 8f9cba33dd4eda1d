"""The one check for text that clients send."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from imgproxy.files.storable import is_one_line, is_storable


@pytest.mark.parametrize("text", ["", "cat.jpg", "Größe 12 ½", "猫", "🐈", "a\u00a0b", "\u202eabc"])
def test_is_storable_of_plain_text(text: str) -> None:
    assert is_storable(text)
    assert is_one_line(text)


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "a\tb", "\u2028", "\u2029"])
def test_is_one_line_of_line_breaks(text: str) -> None:
    assert is_storable(text)
    assert not is_one_line(text)


def test_is_one_line_agrees_with_unicode_on_every_character() -> None:
    for each in map(chr, range(sys.maxunicode + 1)):
        assert is_one_line(each) == (unicodedata.category(each) not in ("Cc", "Zl", "Zp", "Cs"))
