"""The small pieces of the page."""

from __future__ import annotations

from typing import Any

import pytest

from imgproxy.api.docs.markup import coloured, inline, kind, prose


def test_json_is_coloured_and_escaped() -> None:
    text = '{"a": "<b>", "n": -1.5, "t": true}'
    assert coloured(text) == (
        '{<span class="n">"a"</span>: <span class="t">"&lt;b&gt;"</span>, '
        '<span class="n">"n"</span>: <span class="v">-1.5</span>, '
        '<span class="n">"t"</span>: <span class="v">true</span>}'
    )


def test_words_are_escaped_and_code_is_marked() -> None:
    assert inline("a `b<` & c") == "a <code>b&lt;</code> &amp; c"


def test_lists_and_paragraphs_are_told_apart() -> None:
    assert prose("one\n\n1. two\n2. three") == "<p>one</p><ol><li>two</li><li>three</li></ol>"


DOCUMENT = {"components": {"schemas": {"Colour": {"enum": ["red", "blue"]}, "Thing": {"type": "object"}}}}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 10_000}, "integer, 1–10,000"),
        ({"type": "integer", "minimum": 0}, "integer, from 0"),
        ({"type": "string", "maxLength": 255}, "string, up to 255 characters"),
        ({"type": "string", "format": "date-time"}, "date-time"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string"),
        ({"type": "array", "items": {"$ref": "#/components/schemas/Thing"}}, "list of Thing"),
        ({"$ref": "#/components/schemas/Colour"}, "red, blue"),
        ({}, "any"),
    ],
)
def test_what_a_value_may_be_is_said_in_a_few_words(schema: dict[str, Any], words: str) -> None:
    assert kind(DOCUMENT, schema) == words
