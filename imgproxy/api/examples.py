"""An example of whatever a JSON Schema describes: what documentation shows, and what a reader may send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PREFIX = "#/components/schemas/"
_BY_FORMAT = {
    "date-time": "2026-01-31T12:00:00.000Z",
    "uuid": "0199b6c4-5a51-7c3e-9f0e-2b8f6f1d7a10",
    "binary": "…",
}
_BY_NAME: Mapping[str, Any] = {
    "url": "https://img.example/…",
    "downloadUrl": "https://img.example/…",
    "location": "https://img.example/images/4fQx1bTz9KcP0aLmE7uVwR/cat.jpg",
    "filename": "cat.jpg",
    "contentType": "image/jpeg",
    "key": "images/4fQx1bTz9KcP0aLmE7uVwR/cat.jpg",
    "s3Key": "images/4fQx1bTz9KcP0aLmE7uVwR/cat.jpg",
    "uploadId": "0199b6c4-5a51-7c3e-9f0e-2b8f6f1d7a10",
    "etag": '"9b2cf535f27731c974343645a3985328"',
    "size": 482113,
    "width": 2400,
    "height": 1600,
    "alt": "A cat on a wall",
    "ownerId": "user-42",
}


def example(schema: Mapping[str, Any], schemas: Mapping[str, Any], *, name: str = "") -> Any:
    """A value that the schema allows; `schemas` are those that it may refer to."""
    if "$ref" in schema:
        return example(schemas[schema["$ref"].removeprefix(_PREFIX)], schemas, name=name)
    if "examples" in schema:
        return schema["examples"][0]
    if name in _BY_NAME:
        return _BY_NAME[name]
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return _first_choice(schema, schemas, name)
    return _by_type(schema, schemas)


def _first_choice(schema: Mapping[str, Any], schemas: Mapping[str, Any], name: str) -> Any:
    choices = [choice for choice in schema["anyOf"] if choice != {"type": "null"}]
    optional = len(choices) < len(schema["anyOf"])
    if optional and not any("examples" in choice or "$ref" in choice for choice in choices):
        return None
    return example(choices[0], schemas, name=name)


def _by_type(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    match schema.get("type"):
        case "object":
            properties: Mapping[str, Any] = schema.get("properties", {})
            return {name: example(each, schemas, name=name) for name, each in properties.items()}
        case "array":
            return [example(schema["items"], schemas)]
        case "integer" | "number":
            return schema.get("default", schema.get("minimum", 1))
        case "boolean":
            return schema.get("default", True)
        case _:
            return schema.get("default") or _BY_FORMAT.get(schema.get("format", ""), "…")
