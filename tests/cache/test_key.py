"""Results are named by all that they depend on."""

from __future__ import annotations

from typing import Any

import pytest

from imgproxy.cache.key import ResultKey, SourceVersion, result_key


def key(**changes: Any) -> ResultKey:
    parts: dict[str, Any] = {
        "ingredients": [SourceVersion("a.jpg", "1")],
        "transform": "width=300",
        "output": "avif,webp",
        "answer": "image",
        "encoder": "libvips",
    }
    parts |= changes
    return result_key(parts.pop("ingredients"), **parts)


def test_a_key_is_the_same_for_the_same_question() -> None:
    assert key() == key()


@pytest.mark.parametrize(
    "changes",
    [
        {"ingredients": [SourceVersion("b.jpg", "1")]},
        {"ingredients": [SourceVersion("a.jpg", "2")]},
        {"ingredients": [SourceVersion("a.jpg", "1"), SourceVersion("b.jpg", "1")]},
        {"ingredients": []},
        {"transform": "width=301"},
        {"output": "webp"},
        {"answer": "meta"},
        {"encoder": "libvips 9"},
    ],
)
def test_a_key_changes_with_everything_it_depends_on(changes: dict[str, Any]) -> None:
    assert key(**changes) != key()


def test_what_one_part_ends_with_cannot_begin_the_next() -> None:
    assert key(transform="a", output="bc") != key(transform="ab", output="c")


def test_a_key_is_32_hex_digits_fit_for_an_etag_and_a_file_name() -> None:
    assert len(key()) == 32
    assert set(key()) <= set("0123456789abcdef")


def test_a_name_that_is_not_utf_8_has_a_key_too() -> None:
    assert key(transform="\udcff") != key()
