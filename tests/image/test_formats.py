"""The table of formats is whole, and words lead to its rows."""

from __future__ import annotations

import pytest

from imgproxy.image.formats import ALIASES, TRAITS, WRITTEN, Format, family, parse_format


def test_every_format_has_a_row_of_its_own() -> None:
    assert list(TRAITS) == list(Format)
    for column in ("mime", "extension", "loader"):
        assert len({getattr(traits, column) for traits in TRAITS.values()}) == len(Format)


@pytest.mark.parametrize("name", WRITTEN)
def test_what_we_write_is_found_by_its_name_and_is_its_own_family(name: Format) -> None:
    assert parse_format(name.value) is name
    assert family(name) is name


def test_other_words_lead_to_the_same_rows() -> None:
    assert parse_format("jpg") is Format.JPEG
    assert set(ALIASES.values()) <= set(WRITTEN)


@pytest.mark.parametrize("word", ["svg", "bmp", "heic", "JPEG", "", "auto"])
def test_what_we_do_not_write_is_not_found(word: str) -> None:
    assert parse_format(word) is None


def test_a_drawing_is_answered_as_a_picture_that_keeps_its_transparency() -> None:
    assert TRAITS[family(Format.SVG)].alpha
