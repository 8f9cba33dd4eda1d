"""What may be asked: where each value ends, what is left out, and which words say the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest
from pydantic import BaseModel, ValidationError

from imgproxy.api.requests import (
    Body,
    DownloadAsked,
    DownloadQuery,
    FileAsked,
    FileList,
    FilePatch,
    MultipartAsked,
    MultipartComplete,
    NewUpload,
    OutboxAsked,
    Query,
    Registration,
    ShareGiven,
    ShareRemoved,
    SharesGiven,
)
from imgproxy.files.model import Visibility

UPLOAD = {"filename": "cat.jpg", "contentType": "image/jpeg"}
REGISTRATION = {"s3Key": "images/x/cat.jpg", "originalName": "cat.jpg", "mimeType": "image/jpeg", "size": 3}
PARTS = {"uploadId": "u", "key": "k"}
SHARE = {"type": "user", "id": "ann"}
SEVEN_DAYS = 7 * 24 * 3600

_Body = TypeVar("_Body", bound=Body)
_Query = TypeVar("_Query", bound=Query)


def body(model: type[_Body], **given: Any) -> _Body:
    """Read a body as an endpoint does."""
    return model.model_validate_json(json.dumps(given))


def query(model: type[_Query], **given: str) -> _Query:
    """Read a query as an endpoint does."""
    return model.model_validate(given)


@pytest.mark.parametrize(
    ("model", "given", "name", "most"),
    [
        (NewUpload, UPLOAD, "fileSize", 2**53 - 1),
        (Registration, REGISTRATION, "size", 2**53 - 1),
        (Registration, REGISTRATION, "width", 1_000_000),
        (DownloadAsked, {}, "expiresIn", SEVEN_DAYS),
        (FileList, {}, "limit", 100),
        (FileList, {}, "page", 1_000_000),
        (DownloadQuery, {}, "expiresIn", SEVEN_DAYS),
        (OutboxAsked, {}, "limit", 1000),
    ],
)
def test_a_number_may_be_the_most_and_no_more(
    model: type[BaseModel], given: dict[str, Any], name: str, most: int
) -> None:
    assert most in dict(model.model_validate({**given, name: most})).values()
    with pytest.raises(ValidationError):
        model.model_validate({**given, name: most + 1})


@pytest.mark.parametrize(
    ("model", "given", "name", "least"),
    [
        (NewUpload, UPLOAD, "fileSize", 0),
        (Registration, REGISTRATION, "size", 0),
        (Registration, REGISTRATION, "height", 1),
        (DownloadAsked, {}, "expiresIn", 1),
        (FileList, {}, "limit", 1),
        (FileList, {}, "page", 1),
        (DownloadQuery, {}, "expiresIn", 1),
        (OutboxAsked, {}, "limit", 1),
    ],
)
def test_a_number_may_be_the_least_and_no_less(
    model: type[BaseModel], given: dict[str, Any], name: str, least: int
) -> None:
    assert least in dict(model.model_validate({**given, name: least})).values()
    with pytest.raises(ValidationError):
        model.model_validate({**given, name: least - 1})


@pytest.mark.parametrize(
    ("model", "given", "name", "each", "most"),
    [
        (MultipartComplete, PARTS, "parts", {"partNumber": 1, "etag": "e"}, 10_000),
        (SharesGiven, {}, "shares", SHARE, 500),
    ],
)
def test_a_list_may_be_long_and_no_longer(
    model: type[Body], given: dict[str, Any], name: str, each: dict[str, Any], most: int
) -> None:
    assert len(getattr(body(model, **given, **{name: [each] * most}), name)) == most
    with pytest.raises(ValidationError):
        body(model, **given, **{name: [each] * (most + 1)})


def test_a_file_may_be_shared_with_nobody_and_not_be_made_of_nothing() -> None:
    assert body(SharesGiven, shares=[]).shares == []
    with pytest.raises(ValidationError):
        body(MultipartComplete, **PARTS, parts=[])


def test_a_cursor_may_be_long_and_no_longer() -> None:
    assert query(FileList, cursor="x" * 4096).cursor == "x" * 4096
    with pytest.raises(ValidationError):
        query(FileList, cursor="x" * 4097)


@pytest.mark.parametrize(
    ("model", "given"),
    [
        (NewUpload, UPLOAD | {"fileSize": "3"}),
        (NewUpload, UPLOAD | {"fileSize": 3.5}),
        (NewUpload, UPLOAD | {"fileSize": True}),
        (Registration, REGISTRATION | {"size": 3.0}),
        (Registration, REGISTRATION | {"tags": "cat"}),
        (DownloadAsked, {"expiresIn": "60"}),
        (ShareGiven, SHARE | {"id": 7}),
        (ShareGiven, SHARE | {"expiresAt": 1_790_000_000}),
    ],
)
def test_a_body_is_of_json_s_own_types(model: type[Body], given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        body(model, **given)


def test_a_query_is_text_that_reads_as_what_is_expected() -> None:
    asked = query(FileList, page="2", total="false", visibility="shared")
    assert (asked.page, asked.total, asked.visibility) == (2, False, Visibility.SHARED)
    assert query(DownloadQuery, expiresIn="60").expires_in == 60


@pytest.mark.parametrize(
    "model", [MultipartAsked, FileList, FileAsked, ShareRemoved, DownloadQuery, OutboxAsked]
)
def test_a_query_names_nothing_that_is_not_here(model: type[Query]) -> None:
    with pytest.raises(ValidationError) as refused:
        query(model, uploadId="u", key="k", colour="red")
    assert ("extra_forbidden", ("colour",)) in [
        (each["type"], each["loc"]) for each in refused.value.errors()
    ]


def test_what_a_body_names_and_we_do_not_know_is_left_alone() -> None:
    assert body(NewUpload, **UPLOAD, colour="red") == body(NewUpload, **UPLOAD)


def test_a_change_names_nothing_that_is_not_here() -> None:
    with pytest.raises(ValidationError, match="colour"):
        body(FilePatch, alt="a cat", colour="red")


@pytest.mark.parametrize(("name", "shown"), [("originalName", "originalName"), ("visibility", "visibility")])
def test_what_every_file_has_cannot_be_emptied(name: str, shown: str) -> None:
    with pytest.raises(ValidationError, match=f"{shown}: must be a value, got null"):
        body(FilePatch, **{name: None})


@pytest.mark.parametrize("name", ["category", "description", "alt", "relatedEntityId", "tags", "metadata"])
def test_all_else_can_be(name: str) -> None:
    assert len(body(FilePatch, **{name: None}).model_fields_set) == 1


def test_absent_is_not_null() -> None:
    assert body(FilePatch, alt=None).model_fields_set == {"alt"}


@pytest.mark.parametrize("number", ["partNumber", "PartNumber"])
@pytest.mark.parametrize("etag", ["etag", "ETag", "eTag"])
def test_parts_may_have_the_names_of_s3(number: str, etag: str) -> None:
    asked = body(MultipartComplete, **PARTS, parts=[{number: 1, etag: "e"}])
    assert [(part.part_number, part.etag) for part in asked.parts] == [(1, "e")]


@pytest.mark.parametrize("etag", ["", "e\r\nX: y", "e" * 256])
def test_a_part_has_an_etag_that_a_header_can_hold(etag: str) -> None:
    with pytest.raises(ValidationError):
        body(MultipartComplete, **PARTS, parts=[{"partNumber": 1, "etag": etag}])


def test_a_key_is_called_so_or_as_s3_calls_it() -> None:
    given = {name: value for name, value in REGISTRATION.items() if name != "s3Key"}
    assert body(Registration, **given, key="images/x/cat.jpg") == body(Registration, **REGISTRATION)


def test_a_share_ends_at_a_moment_that_is_the_same_everywhere() -> None:
    moment = body(ShareGiven, **SHARE, expiresAt="2026-01-31T13:00:00+01:00").expires_at
    assert moment == datetime(2026, 1, 31, 12, tzinfo=UTC)
    with pytest.raises(ValidationError):
        body(ShareGiven, **SHARE, expiresAt="2026-01-31T13:00:00")


def test_a_share_lasts_unless_told_and_has_somebody() -> None:
    assert body(ShareGiven, **SHARE).expires_at is None
    with pytest.raises(ValidationError):
        body(ShareGiven, type="user", id="")


def test_nothing_needs_to_be_said_of_a_download() -> None:
    assert (body(DownloadAsked).disposition, query(DownloadQuery).disposition) == ("attachment", "attachment")
    assert (body(DownloadAsked).expires_in, query(DownloadQuery).expires_in) == (None, None)
    with pytest.raises(ValidationError):
        query(DownloadQuery, disposition="inline; filename=x")


def test_what_is_asked_stays_as_it_was() -> None:
    asked = body(NewUpload, **UPLOAD)
    with pytest.raises(ValidationError, match="frozen"):
        asked.filename = "dog.jpg"
