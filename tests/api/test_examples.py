"""An example of whatever a schema describes. (That all are valid is proved in test_openapi.)"""

from __future__ import annotations

from typing import Any

import pytest

from imgproxy.api.examples import example

SCHEMAS = {
    "Thing": {"type": "object", "properties": {"size": {"type": "integer"}, "on": {"type": "boolean"}}}
}


@pytest.mark.parametrize(
    ("schema", "shown"),
    [
        ({"examples": ["a", "b"]}, "a"),
        ({"const": "PUT"}, "PUT"),
        ({"enum": ["x", "y"]}, "x"),
        ({"$ref": "#/components/schemas/Thing"}, {"size": 482113, "on": True}),
        ({"type": "array", "items": {"const": 1}}, [1]),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, None),
        ({"anyOf": [{"const": 1}, {"const": 2}]}, 1),
        ({"anyOf": [{"examples": [7]}, {"type": "null"}]}, 7),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": "string", "format": "date-time"}, "2026-01-31T12:00:00.000Z"),
    ],
)
def test_an_example_is_the_schema_s_own_or_the_plainest_one(schema: dict[str, Any], shown: object) -> None:
    assert example(schema, SCHEMAS) == shown
