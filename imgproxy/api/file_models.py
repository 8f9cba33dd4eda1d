"""Models of requests and responses that follow from the declared fields of a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, get_origin

from pydantic import BaseModel, Field, create_model

from imgproxy.api import field_types
from imgproxy.files.fields import FIELDS, INPUTS, FileField
from imgproxy.files.model import File, InputType, Owner, OwnerType, Visibility

Model = TypeVar("Model", bound=BaseModel)

_TYPES: Mapping[InputType, Any] = {
    "file_name": field_types.FileName,
    "visibility": Visibility,
    "name": field_types.Name,
    "prose": field_types.Prose,
    "line": field_types.Line,
    "tags": field_types.Tags,
    "metadata": field_types.Metadata,
}
_VISIBLE = [each for each in FIELDS if each.rules.read is not None]
_WHOLE = [(each.name, each.json) for each in _VISIBLE if each.type is not Owner]
_PUBLIC = [(each.name, each.json) for each in _VISIBLE if each.rules.read == "client"]
REQUIRED = {each.name for each in INPUTS if not each.nullable and not each.is_json}
"""Fields that cannot be emptied."""
_FROM_UPLOAD = ("visibility",)


def with_inputs(
    name: str, base: type[Model], *, optional: bool = False, descriptions: Mapping[str, str | None] = {}
) -> type[Model]:
    """Return a model of a request: `base` with the fields of a file that clients set.

    `optional` lets clients leave out every field; `descriptions` are of this request.
    """
    fields: dict[str, Any] = {}
    for each in INPUTS:
        text = descriptions.get(each.name, each.rules.input_description)
        kind = _TYPES[each.rules.input or "line"]
        if each.name in REQUIRED and each.name not in _FROM_UPLOAD and not optional:
            fields[each.name] = (kind, ...)
        else:
            fields[each.name] = (kind | None, Field(None, description=text) if text else None)
    return create_model(name, __base__=base, __doc__=base.__doc__, **fields)


def with_outputs(name: str, base: type[Model], instant: Any, *, read: str) -> type[Model]:
    """Return a model of a response: `base` with the fields of a file that `read` readers see."""
    fields: dict[str, Any] = {}
    for each in _VISIBLE:
        if each.rules.read == read:
            fields.update(_owner() if each.type is Owner else {each.json: _output(each, instant)})
    return create_model(name, __base__=base, __doc__=base.__doc__, **fields)


def output_values(file: File, *, whole: bool) -> dict[str, Any]:
    """Return a file's values for a model of a response; `whole` for its owner."""
    values = {json: getattr(file, name) for name, json in (_WHOLE if whole else _PUBLIC)}
    values["tags"] = list(file.tags)
    if whole:
        values["owner_type"], values["owner_id"] = file.owner.type, file.owner.id
    return values


def _owner() -> dict[str, Any]:
    kinds = dict(zip(("owner_type", "owner_id"), (OwnerType, str), strict=True))
    return {name: (kind, ...) for name, kind in kinds.items()}


def _output(declared: FileField, instant: Any) -> tuple[Any, Any]:
    rules = declared.rules
    kind = list[str] if get_origin(declared.type) is tuple else declared.type
    kind = instant if rules.is_time else kind
    kind = kind | None if declared.nullable else kind
    examples = None if rules.example is None else [rules.example]
    default: Any = None if declared.nullable else [] if kind == list[str] else {} if declared.is_json else ...
    return kind, Field(default, description=rules.description, examples=examples)
