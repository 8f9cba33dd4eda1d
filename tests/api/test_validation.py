"""From text to models; what cannot be read has the code that clients know."""

from __future__ import annotations

import json
from typing import Any

import pytest
from multidict import MultiDict
from pydantic import BaseModel, ValidationError

from imgproxy import errors
from imgproxy.api.field_types import MOST
from imgproxy.api.form import FileForm
from imgproxy.api.registry import GROUPS
from imgproxy.api.requests import (
    Body,
    FileList,
    FilePatch,
    MultipartComplete,
    MultipartPart,
    NewUpload,
    Registration,
    SharesGiven,
)
from imgproxy.api.validation import TEMPLATES, read_json, read_query

UPLOAD = {"filename": "cat.jpg", "contentType": "image/jpeg"}
REGISTRATION = {"s3Key": "images/x/cat.jpg", "originalName": "cat.jpg", "mimeType": "image/jpeg", "size": 3}
PART = {"uploadId": "u", "key": "images/x/cat.jpg", "partNumber": 1}
PARTS = {"uploadId": "u", "key": "k", "parts": [{"partNumber": 1, "etag": '"e"'}]}


@pytest.mark.parametrize(
    ("model", "given", "changed", "kind"),
    [
        (NewUpload, UPLOAD, {"filename": ""}, errors.InvalidName),
        (NewUpload, UPLOAD, {"filename": "a/b.jpg"}, errors.InvalidName),
        (NewUpload, UPLOAD, {"filename": "a\\b.jpg"}, errors.InvalidName),
        (NewUpload, UPLOAD, {"filename": ".."}, errors.InvalidName),
        (NewUpload, UPLOAD, {"filename": "a\nb"}, errors.InvalidName),
        (NewUpload, UPLOAD, {"filename": "x" * 256}, errors.NameTooLong),
        (NewUpload, UPLOAD, {"filename": 7}, errors.InvalidRequest),
        (NewUpload, UPLOAD, {"contentType": "picture"}, errors.InvalidFormat),
        (NewUpload, UPLOAD, {"contentType": "a/b\r\nX: y"}, errors.InvalidFormat),
        (NewUpload, UPLOAD, {"contentType": "image/" + "x" * 255}, errors.TypeTooLong),
        (NewUpload, UPLOAD, {"fileSize": -1}, errors.NegativeSize),
        (NewUpload, UPLOAD, {"fileSize": 2**53}, errors.FileTooLarge),
        (NewUpload, UPLOAD, {"fileSize": "3"}, errors.InvalidRequest),
        (NewUpload, UPLOAD, {"visibility": "secret"}, errors.InvalidRequest),
        (Registration, REGISTRATION, {"s3Key": "k" * 513}, errors.KeyTooLong),
        (Registration, REGISTRATION, {"s3Key": "é" * 300}, errors.InvalidPath),
        (Registration, REGISTRATION, {"s3Key": ""}, errors.InvalidPath),
        (Registration, REGISTRATION, {"originalName": "x" * 256}, errors.NameTooLong),
        (Registration, REGISTRATION, {"mimeType": "x/" + "y" * 254}, errors.TypeTooLong),
        (Registration, REGISTRATION, {"size": -3}, errors.NegativeSize),
        (Registration, REGISTRATION, {"width": 0}, errors.InvalidRequest),
        (Registration, REGISTRATION, {"metadata": {"a": "\0"}}, errors.InvalidRequest),
        (Registration, REGISTRATION, {"metadata": {"\0": 1}}, errors.InvalidRequest),
        (Registration, REGISTRATION, {"metadata": {"a": "x" * 16_384}}, errors.InvalidRequest),
        (Registration, REGISTRATION, {"metadata": {"a": 2**60}}, errors.InvalidRequest),
        (Registration, REGISTRATION, {"metadata": {"a": [[[[[[[[[]]]]]]]]]}}, errors.InvalidRequest),
        (Registration, REGISTRATION, {"tags": ["t"] * 51}, errors.InvalidRequest),
        (MultipartPart, PART, {"partNumber": 0}, errors.InvalidPartNumber),
        (MultipartPart, PART, {"partNumber": 10_001}, errors.InvalidPartNumber),
        (MultipartComplete, PARTS, {"parts": []}, errors.InvalidParts),
        (MultipartComplete, PARTS, {"parts": None}, errors.InvalidParts),
        (MultipartComplete, PARTS, {"parts": [{"partNumber": 0, "etag": "e"}]}, errors.InvalidParts),
        (MultipartComplete, PARTS, {"parts": [{"etag": "e"}]}, errors.InvalidParts),
        (FilePatch, {}, {"size": 4}, errors.InvalidRequest),
        (FilePatch, {}, {"visibility": None}, errors.InvalidRequest),
        (FilePatch, {}, {"originalName": None}, errors.InvalidRequest),
        (SharesGiven, {}, {"shares": [{"type": "user", "id": ""}]}, errors.InvalidRequest),
        (SharesGiven, {}, {"shares": [{"type": "all", "id": "x"}]}, errors.InvalidRequest),
    ],
)
def test_a_value_that_cannot_be_has_its_code_and_names_its_field(
    model: type[BaseModel], given: dict[str, Any], changed: dict[str, Any], kind: type[errors.FilesError]
) -> None:
    with pytest.raises(errors.FilesError) as refused:
        read_json(model, json.dumps(given | changed).encode())
    assert type(refused.value) is kind
    assert next(iter(changed)) in str(refused.value)


@pytest.mark.parametrize(
    ("model", "given", "text"),
    [
        (NewUpload, UPLOAD | {"filename": ""}, 'filename: must be text of at least 1 characters, got ""'),
        (NewUpload, UPLOAD | {"filename": "a/b"}, 'filename: must be a name without folders, got "a/b"'),
        (NewUpload, UPLOAD | {"fileSize": -1}, "fileSize: must be at least 0, got -1"),
        (
            NewUpload,
            UPLOAD | {"fileSize": 2**60},
            f"fileSize: must be at most {MOST}, got a number beyond 2^53",
        ),
        (NewUpload, UPLOAD | {"filename": [1, 2]}, "filename: must be text, got a list of 2 items"),
        (FilePatch, {"size": 4}, "size: must be left out: there is no such field"),
        (FilePatch, {"visibility": None}, "visibility: must be a value, got null"),
        (
            FilePatch,
            {"alt": "x" * 2001},
            f'alt: must be text of at most 2000 characters, got "{"x" * 40}"… (2001 characters)',
        ),
        (
            MultipartComplete,
            PARTS | {"parts": []},
            "parts: must be a list of at least 1 items, got a list of 0 items",
        ),
    ],
)
def test_message_names_field_expected_and_value(model: type[BaseModel], given: Any, text: str) -> None:
    with pytest.raises(errors.FilesError) as refused:
        read_json(model, json.dumps(given).encode())
    assert str(refused.value) == text


_TIMES = ("soon", "2026-01-31", "2026-01-31T12:00:00", "2026-13-31T12:00:00Z")
VALUES: list[Any] = [
    *(None, True, -1, 1.5, 10**30, float("nan")),
    *("", "x" * 20_000, "\0", "é" * 300, "1.5", "9" * 5_000, *_TIMES),
    *(
        [],
        [None],
        ["x"] * 20_000,
        [{}],
        [{"partNumber": "x"}],
        {},
        {"a": float("inf")},
        {"x": [[[[[[[[[]]]]]]]]]},
    ),
    *([{"type": "user", "id": "x", "expiresAt": time}] for time in _TIMES),
]
MODELS = sorted(
    {each.takes for group in GROUPS for each in group.endpoints if each.takes is not None} | {FileForm},
    key=lambda model: model.__name__,
)


@pytest.mark.parametrize("model", MODELS)
def test_templates_cover_every_type_of_error_that_models_give(model: type[BaseModel]) -> None:
    fields = [field.validation_alias or field.alias or name for name, field in model.model_fields.items()]
    names = [name if isinstance(name, str) else name.choices[0] for name in fields]  # type: ignore[union-attr]
    for value in VALUES:
        for given in (dict.fromkeys(names, value) | {"unknown": 1}, value):
            try:
                if issubclass(model, Body):
                    model.model_validate_json(json.dumps(given))
                else:  # queries and forms
                    model.model_validate(given)
            except ValidationError as error:
                kinds = {each["type"] for each in error.errors()}
                assert kinds <= {*TEMPLATES, "missing", "extra_forbidden", "json_invalid"}


@pytest.mark.parametrize("missing", UPLOAD)
def test_a_field_that_is_missing_is_named(missing: str) -> None:
    given = {name: value for name, value in UPLOAD.items() if name != missing}
    with pytest.raises(errors.InvalidRequest, match=f"^{missing}: must be given$"):
        read_json(NewUpload, json.dumps(given).encode())


@pytest.mark.parametrize(
    "raw", [b"{", b"\xff", b"[]", b"1", b'{"a":' + b"[" * 5000, b'{"filename":"\\ud800"}']
)
def test_what_is_no_object_of_json_is_an_invalid_request(raw: bytes) -> None:
    with pytest.raises(errors.InvalidRequest):
        read_json(NewUpload, raw)


def test_no_body_is_an_empty_object() -> None:
    assert read_json(FilePatch, b"") == FilePatch()


def test_a_nested_field_is_named_as_a_client_would_write_it() -> None:
    raw = json.dumps({"shares": [{"type": "user", "id": "a"}, {"type": "user", "id": 7}]}).encode()
    with pytest.raises(errors.InvalidRequest, match=r"^shares\[1\]\.id: "):
        read_json(SharesGiven, raw)


def test_a_query_is_text_and_has_defaults() -> None:
    asked = read_query(FileList, MultiDict({"limit": "5", "sortBy": "size", "total": "false"}))
    assert (asked.limit, asked.sort_by, asked.total, asked.page) == (5, "size", False, 1)


@pytest.mark.parametrize(
    "query", [{"limit": "0"}, {"limit": "101"}, {"page": "0"}, {"sortBy": "colour"}, {"colour": "red"}]
)
def test_a_query_that_cannot_be_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(errors.InvalidRequest, match=next(iter(query))):
        read_query(FileList, MultiDict(query))


def test_a_parameter_given_twice_is_refused() -> None:
    with pytest.raises(errors.InvalidRequest, match="more than once"):
        read_query(FileList, MultiDict([("limit", "1"), ("limit", "2")]))
