"""From text to models; what cannot be read has the code that clients know."""

from __future__ import annotations

import json
from typing import Any

import pytest
from multidict import MultiDict
from pydantic import BaseModel

from imgproxy import errors
from imgproxy.api.schema import (
    FileList,
    FilePatch,
    MultipartComplete,
    MultipartPart,
    NewUpload,
    Registration,
    SharesGiven,
)
from imgproxy.api.validation import read_json, read_query

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


@pytest.mark.parametrize("missing", UPLOAD)
def test_a_field_that_is_missing_is_named(missing: str) -> None:
    given = {name: value for name, value in UPLOAD.items() if name != missing}
    with pytest.raises(errors.InvalidRequest, match=f"{missing}: this field is required"):
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
