"""The words and numbers that clients send."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from imgproxy.api.field_types import FileName, Metadata, MimeType, Prose, Tags


@pytest.mark.parametrize("name", ["cat.jpg", "Été à la mer.JPG", ".profile", "猫.png", "a" * 255])
def test_a_name_may_be_in_any_language(name: str) -> None:
    assert TypeAdapter(FileName).validate_python(name) == name


@pytest.mark.parametrize(
    "kind", ["image/svg+xml", "application/vnd.ms-excel", "text/plain; charset=utf-8", "a/b"]
)
def test_a_type_may_have_parameters(kind: str) -> None:
    assert TypeAdapter(MimeType).validate_python(kind) == kind


@pytest.mark.parametrize("kind", ["image", "image/", "/jpeg", "image/*", "image/jpeg\n", "a b/c"])
def test_what_is_no_type_is_refused(kind: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(MimeType).validate_python(kind)


def test_prose_may_have_lines_and_no_other_control_characters() -> None:
    assert TypeAdapter(Prose).validate_python("a\nb\tc") == "a\nb\tc"
    with pytest.raises(ValidationError):
        TypeAdapter(Prose).validate_python("a\x1bb")


def test_tags_are_said_once_in_their_order() -> None:
    assert TypeAdapter(Tags).validate_python(["b", "a", "b"]) == ["b", "a"]


@pytest.mark.parametrize(
    "value", [{}, {"a": None}, {"a": [1, {"b": -1.5}]}, {"é": "日本\n"}, {"a": [[[[[[[]]]]]]]}]
)
def test_metadata_is_any_json(value: dict[str, Any]) -> None:
    assert TypeAdapter(Metadata).validate_python(value) == value


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 2**53, "\0", [["\x07"]]])
def test_what_no_database_could_give_back_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Metadata).validate_python({"a": value})


def test_an_empty_type_means_any_bytes() -> None:
    """`File.type` in a browser is empty for a type that it does not know."""
    assert TypeAdapter(MimeType).validate_python("") == "application/octet-stream"
