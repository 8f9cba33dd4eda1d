"""Fields of a file as data, derived from the declarations in `model.File`.

A new field is one line of `File` and one migration: table, row mapping, requests, responses, patch and
tombstone follow from here.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from types import UnionType
from typing import Any, Final, NamedTuple, get_args, get_origin, get_type_hints

from imgproxy.files.model import FieldRules, File, Owner

FileValues = Mapping[str, Any]
"""Values of fields of `File` that a client sets, by the names of the fields."""


class FileField(NamedTuple):
    """Field of `File`."""

    name: str
    type: Any
    """Its type, None left out."""
    nullable: bool
    rules: FieldRules
    default: Any
    """`dataclasses.MISSING` if it has none."""

    @property
    def json(self) -> str:
        """Return its name in JSON, in snake case."""
        return self.rules.json or self.name

    @property
    def is_json(self) -> bool:
        """Return whether its column holds JSON."""
        return get_origin(self.type) in (tuple, Mapping)

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of its columns: one, but for `Owner`."""
        if self.type is Owner:
            return tuple(f"{self.name}_{part.name}" for part in dataclasses.fields(Owner))
        return ("tenant_id",) if self.name == "tenant" else (self.name,)


def _fields() -> tuple[FileField, ...]:
    hints = get_type_hints(File, include_extras=True)
    return tuple(_field(each, *get_args(hints[each.name])) for each in dataclasses.fields(File))


def _field(declared: dataclasses.Field[Any], kind: Any, rules: FieldRules) -> FileField:
    nullable = isinstance(kind, UnionType)
    plain = get_args(kind)[0] if nullable else kind
    factory = declared.default_factory
    default = declared.default if factory is dataclasses.MISSING else factory()
    return FileField(declared.name, getattr(plain, "__supertype__", plain), nullable, rules, default)


FIELDS: Final = _fields()
INPUTS: Final = tuple(each for each in FIELDS if each.rules.input is not None)
"""Fields that clients set."""
_PURGED: Final = {each.name: each.default for each in FIELDS if each.rules.purged}


def given_values(given: object) -> dict[str, Any]:
    """Return the values of `INPUTS` that a request gives as attributes; defaults are left out."""
    values = {each.name: stored(each.name, getattr(given, each.name)) for each in INPUTS}
    return {each.name: values[each.name] for each in INPUTS if values[each.name] != each.default}


def stored(name: str, value: Any) -> Any:
    """Return a value that a client has set as `File` holds it; None is the field's default."""
    declared = _BY_NAME[name]
    if value is None:
        return declared.default
    return tuple(value) if get_origin(declared.type) is tuple else value


def purged_values() -> dict[str, Any]:
    """Return the values of a purged file's fields that are removed."""
    return dict(_PURGED)


def file_row(file: File) -> dict[str, Any]:
    """Return the columns of `files` that hold a file."""
    row: dict[str, Any] = {column: getattr(file, name) for name, column in _PLAIN}
    for name, dump in _DUMPS:
        row[name] = dump(row[name])
    row["owner_type"], row["owner_id"] = file.owner.type, file.owner.id
    return row


def file_of_row(row: Sequence[Any]) -> File:
    """Return the file of a row that begins with the columns of `FIELDS`, in their order."""
    values = list(row[:_WIDTH])
    for at, load in _LOADS:
        values[at] = load(values[at])
    values[_OWNER : _OWNER + 2] = [Owner(values[_OWNER], values[_OWNER + 1])]
    return File(*values)


def _dump(declared: FileField) -> Callable[[Any], Any] | None:
    if not declared.is_json:
        return None
    return list if get_origin(declared.type) is tuple else dict


def _load(declared: FileField) -> Callable[[Any], Any] | None:
    if isinstance(declared.type, type) and issubclass(declared.type, StrEnum):
        return declared.type
    if not declared.is_json:
        return None
    return (lambda value: tuple(_json(value))) if get_origin(declared.type) is tuple else _json


def _json(value: Any) -> Any:
    """Return JSON as values; SQLAlchemy has parsed it where it knows the column."""
    return json.loads(value) if isinstance(value, str) else value


_BY_NAME = {each.name: each for each in FIELDS}
_COLUMNS = [(column, each) for each in FIELDS for column in each.columns]
_WIDTH = len(_COLUMNS)
_OWNER = [column for column, _ in _COLUMNS].index("owner_type")
_LOADS = [(at, load) for at, (_, each) in enumerate(_COLUMNS) if (load := _load(each)) is not None]
_PLAIN = [(each.name, each.columns[0]) for each in FIELDS if each.type is not Owner]
_DUMPS = [(each.name, dump) for each in FIELDS if (dump := _dump(each)) is not None]
