"""The words and numbers that clients send, each with its bounds: validated here, and drawn so in the OpenAPI.

What no database or header could hold is refused here: control characters, numbers beyond 2^53 - 1 (what
JavaScript counts exactly; RFC 8259 §6), infinite ones.
"""

from __future__ import annotations

import json
import math
import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from imgproxy.files.storable import is_one_line, is_storable

MOST = 2**53 - 1
MAX_KEY_BYTES = 512
MAX_METADATA_BYTES = 16 * 1024
_MAX_DEPTH = 8
_ANY_BYTES = "application/octet-stream"

_TYPE = re.compile(r"[A-Za-z0-9][\w!#$&^.+-]*/[A-Za-z0-9][\w!#$&^.+-]*(\s*(;\s*[\w-]+=[^;]*)+)?", re.ASCII)


def _plain(text: str) -> str:
    if not is_storable(text):
        raise ValueError("text without control characters")
    return text


def _one_line(text: str) -> str:
    if not is_one_line(text):
        raise ValueError("one line without control characters")
    return text


def _file_name(text: str) -> str:
    _one_line(text)
    if "/" in text or "\\" in text:
        raise ValueError("a name without folders")
    if not text.strip(" ."):
        raise ValueError("a name such as photo.jpg")
    return text


def _mime_type(text: str) -> str:
    if not text:  # what a browser's File.type is of a file that it does not know
        return _ANY_BYTES
    _one_line(text)
    if not _TYPE.fullmatch(text):
        raise ValueError("a MIME type such as image/jpeg")
    return text


def _key(text: str) -> str:
    _one_line(text)
    if len(text.encode()) > MAX_KEY_BYTES:
        raise ValueError(f"text of at most {MAX_KEY_BYTES} bytes")
    return text


def _storable(value: Any, depth: int = 1) -> None:
    """Raise `ValueError` for what no JSON column could hold and give back."""
    match value:
        case str():
            _plain(value)
        case float() if not math.isfinite(value):
            raise ValueError("JSON without infinite numbers")
        case int() if abs(value) > MOST:
            raise ValueError("JSON with whole numbers below 2^53")
        case dict() | list() if depth > _MAX_DEPTH:
            raise ValueError(f"JSON of at most {_MAX_DEPTH} levels")
        case dict():
            for name, each in value.items():
                _plain(name)
                _storable(each, depth + 1)
        case list():
            for each in value:
                _storable(each, depth + 1)


def _metadata(value: dict[str, Any]) -> dict[str, Any]:
    _storable(value)
    if len(json.dumps(value, ensure_ascii=False).encode()) > MAX_METADATA_BYTES:
        raise ValueError(f"JSON of at most {MAX_METADATA_BYTES} bytes")
    return value


def _tags(value: list[str]) -> list[str]:
    return list(dict.fromkeys(value))


FileName = Annotated[
    str, Field(min_length=1, max_length=255, examples=["cat.jpg"]), AfterValidator(_file_name)
]
MimeType = Annotated[
    str,
    Field(
        max_length=255,
        examples=["image/jpeg"],
        description="Empty means application/octet-stream, as `File.type` is.",
    ),
    AfterValidator(_mime_type),
]
KeyText = Annotated[
    str,
    Field(min_length=1, max_length=MAX_KEY_BYTES, examples=["images/4fQx1bTz9KcP0aLmE7uVwR/cat.jpg"]),
    AfterValidator(_key),
]
UploadIdText = Annotated[
    str,
    Field(min_length=1, max_length=255, examples=["0199b6c4-5a51-7c3e-9f0e-2b8f6f1d7a10"]),
    AfterValidator(_one_line),
]
Size = Annotated[int, Field(ge=0, le=MOST, examples=[482113])]
Side = Annotated[int, Field(ge=1, le=1_000_000)]
PartNumber = Annotated[int, Field(ge=1, le=10_000, examples=[1])]
Line = Annotated[str, Field(max_length=255), AfterValidator(_one_line)]
Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_one_line)]
Prose = Annotated[str, Field(max_length=2000), AfterValidator(_plain)]
Tags = Annotated[
    list[Name], Field(max_length=50, fail_fast=True, examples=[["cat", "summer"]]), AfterValidator(_tags)
]
Metadata = Annotated[
    dict[str, Any],
    Field(examples=[{"camera": "X100"}], description=f"An object of at most {MAX_METADATA_BYTES} bytes."),
    AfterValidator(_metadata),
]
