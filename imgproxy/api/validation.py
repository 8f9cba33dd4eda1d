"""From text to a model of `schema`; what cannot be read becomes an error with the code that clients know.

The message names the field as the client wrote it, and what is expected there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from multidict import MultiMapping
from pydantic import BaseModel, ValidationError

from imgproxy import errors

Model = TypeVar("Model", bound=BaseModel)

_Refusals = Mapping[str, type[errors.FilesError]]

_NAME: _Refusals = {"string_too_long": errors.NameTooLong, "": errors.InvalidName}
_TYPE: _Refusals = {"string_too_long": errors.TypeTooLong, "": errors.InvalidFormat}
_SIZE: _Refusals = {"greater_than_equal": errors.NegativeSize, "less_than_equal": errors.FileTooLarge}
_KEY: _Refusals = {"string_too_long": errors.KeyTooLong, "": errors.InvalidPath}

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

_WORDS = (
    ("Value error, ", ""),
    ("Input should be ", "expected is "),
    ("Input should ", "it is expected to "),
    ("String should have ", "expected are "),
    ("List should have ", "expected are "),
    ("Field required", "this field is required"),
    ("Extra inputs are not permitted", "nothing of this name can be given here"),
)


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
    """The first thing that is wrong, as one of our errors."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    kind, place = first["type"], first["loc"]
    message = _message(first["msg"])
    if kind == "json_invalid":
        return errors.InvalidRequest(f"the body is not JSON: {message}")
    if not place:
        return errors.InvalidRequest(message)
    return _named(str(place[0]), kind)(f"{_path(place)}: {message}")


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


def _message(text: str) -> str:
    for theirs, ours in _WORDS:
        text = text.replace(theirs, ours)
    text = text.removeprefix("Invalid JSON: ")
    return f"{text[0].lower()}{text[1:]}"
