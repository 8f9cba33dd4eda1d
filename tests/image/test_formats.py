"""The table of formats is whole, and words lead to its rows."""

from __future__ import annotations

import pytest

from imgproxy.image.formats import ALIASES, READERS, TRAITS, WRITTEN, Format, family, parse_format


def test_every_format_has_a_row_of_its_own() -> None:
    assert list(TRAITS) == list(Format)
    for column in ("mime", "extension"):
        assert len({getattr(traits, column) for traits in TRAITS.values()}) == len(Format)


@pytest.mark.parametrize("name", WRITTEN)
def test_what_we_write_is_found_by_its_name_and_is_its_own_family(name: Format) -> None:
    assert parse_format(name.value) is name
    assert family(name, alpha=True) is family(name, alpha=False) is name


def test_other_words_lead_to_the_same_rows() -> None:
    assert parse_format("jpg") is Format.JPEG
    assert set(ALIASES.values()) <= set(WRITTEN)


@pytest.mark.parametrize("word", ["svg", "bmp", "heic", "JPEG", "", "auto"])
def test_what_we_do_not_write_is_not_found(word: str) -> None:
    assert parse_format(word) is None


def test_a_drawing_is_answered_as_an_image_that_keeps_its_transparency() -> None:
    assert TRAITS[family(Format.SVG, alpha=True)].alpha


@pytest.mark.parametrize("name", [Format.HEIC, Format.JXL, Format.JP2])
def test_family_of_a_photo_that_is_not_written_is_jpeg_unless_transparent(name: Format) -> None:
    assert family(name, alpha=False) is Format.JPEG
    assert family(name, alpha=True) is Format.PNG


@pytest.mark.parametrize("name", [Format.BMP, Format.ICO, Format.PDF])
def test_family_of_other_types_that_are_not_written_is_png(name: Format) -> None:
    assert family(name, alpha=False) is family(name, alpha=True) is Format.PNG


def test_readers_read_every_format_once() -> None:
    assert [name for names in READERS.values() for name in names] == list(Format)
