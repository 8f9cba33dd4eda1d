"""Validation of bodies and queries by the models of `schema`: the first fault becomes an error with a code.

The message names the field as the client wrote it, the expected value, and the value it got.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from multidict import MultiMapping
from pydantic import BaseModel, ValidationError

from imgproxy import errors
from imgproxy.api.field_types import MOST

Model = TypeVar("Model", bound=BaseModel)

_Refusals = Mapping[str, type[errors.FilesError]]

_NAME: _Refusals = {"string_too_long": errors.NameTooLong, "": errors.InvalidName}
_TYPE: _Refusals = {"string_too_long": errors.TypeTooLong, "": errors.InvalidFormat}
_SIZE: _Refusals = {"greater_than_equal": errors.NegativeSize, "less_than_equal": errors.FileTooLarge}
_KEY: _Refusals = {"string_too_long": errors.KeyTooLong, "": errors.InvalidPath}

_TIME = "a time with its zone, such as 2026-01-31T12:00:00Z"

REFUSALS: dict[str, _Refusals] = {
    "filename": _NAME,
    "originalName": _NAME,
    "contentType": _TYPE,
    "mimeType": _TYPE,
    "fileSize": _SIZE,
    "size": _SIZE,
    "s3Key": _KEY,
    "key": _KEY,
    "partNumber": {"": errors.InvalidPartNumber},
    "parts": {"": errors.InvalidParts},
}
"""By field and by pydantic's word for what is wrong (`""`: any other): what a wrong value is called."""

_OF_FORM = ("missing", "json_invalid", "extra_forbidden")
"""What is wrong with a request's form, whichever field it is about; so are words of another JSON type."""

TEMPLATES: dict[str, str] = {
    "string_type": "text",
    "string_unicode": "Unicode text",
    "string_too_short": "text of at least {min_length} characters",
    "string_too_long": "text of at most {max_length} characters",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number below 2^53",
    "int_from_float": "a whole number",
    "finite_number": "a finite number",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "enum": "{expected}",
    "literal_error": "{expected}",
    "list_type": "a list",
    "too_short": "a list of at least {min_length} items",
    "too_long": "a list of at most {max_length} items",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "datetime_type": _TIME,
    "datetime_parsing": _TIME,
    "datetime_from_date_parsing": _TIME,
    "datetime_object_invalid": _TIME,
    "timezone_aware": _TIME,
    "value_error": "{error}",
}
"""Expected value by pydantic's type of error; our own validators raise `ValueError` with such a phrase."""

_SHOWN = 40  # characters of a value

_MOST_COMMAS = 40_000
"""Of a JSON body. The parser holds the interpreter, on a thread too: 2 MiB of `{},` take 0.1 s, this 0.03."""


def read_json(model: type[Model], raw: bytes) -> Model:
    """Read a body, none being an empty object; raise a `FilesError`."""
    if raw.count(b",") > _MOST_COMMAS:
        raise errors.BodyTooLarge(f"the body is expected to have at most {_MOST_COMMAS} commas")
    try:
        return model.model_validate_json(raw or b"{}")
    except ValidationError as error:
        raise refusal(error) from None


def read_query(model: type[Model], query: MultiMapping[str]) -> Model:
    """Read a query; raise a `FilesError`."""
    given = dict(query.items())
    if len(given) != len(query):
        raise errors.InvalidRequest("a parameter is given more than once")
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise refusal(error) from None


def refusal(error: ValidationError) -> errors.FilesError:
    """Return the first fault as an error: `<field>: must be <expected>, got <value>`."""
    first = error.errors(include_url=False)[0]
    kind, place, context = first["type"], first["loc"], first.get("ctx", {})
    if kind == "json_invalid":
        return errors.InvalidRequest(f"body: must be JSON ({context['error']})")
    if kind == "value_error" and not place:  # of a whole model
        return errors.InvalidRequest(str(context["error"]))
    name = _path(place) if place else "body"
    if kind == "missing":
        message = f"{name}: must be given"
    elif kind == "extra_forbidden":
        message = f"{name}: must be left out: there is no such field"
    else:
        expected = TEMPLATES.get(kind, "another value").format_map(context)
        message = f"{name}: must be {expected}, got {_shown(first['input'])}"
    return _named(str(place[0]), kind)(message) if place else errors.InvalidRequest(message)


def _shown(value: Any) -> str:
    """Return the beginning of a value as JSON; of a list or an object its size."""
    match value:
        case list():
            return f"a list of {len(value)} items"
        case dict():
            return f"an object of {len(value)} fields"
        case int() if abs(value) > MOST:  # Python writes no more than 4,300 digits
            return "a number beyond 2^53"
        case str() if len(value) > _SHOWN:
            return f"{json.dumps(value[:_SHOWN])}… ({len(value)} characters)"
        case _:
            return json.dumps(value, default=str)[:_SHOWN]


def _named(field: str, kind: str) -> type[errors.FilesError]:
    known = REFUSALS.get(field, {})
    if field != "parts" and (kind in _OF_FORM or kind.endswith("_type")):
        return errors.InvalidRequest
    return known.get(kind) or known.get("") or errors.InvalidRequest


def _path(place: tuple[Any, ...]) -> str:
    """The field's place as a client would write it: `parts[2].partNumber`."""
    text = str(place[0])
    for step in place[1:]:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text
