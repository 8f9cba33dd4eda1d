"""Errors as HTTP responses."""

from __future__ import annotations

import json
import logging
import re

import pytest
from aiohttp import web

from imgproxy import errors
from imgproxy.http.problems import (
    DEFECT,
    DENIED,
    NO_METHOD,
    PROBLEM_JSON,
    TABLE,
    Refusal,
    body,
    cacheable,
    code_of,
    code_of_status,
    files_error,
    meanings,
    problem,
    response_to,
)


def leaves(kind: type[errors.ImgproxyError]) -> list[type[errors.ImgproxyError]]:
    below = [each for each in kind.__subclasses__() if each.__module__ == errors.__name__]
    return [leaf for each in below for leaf in leaves(each)] if below else [kind]


def respond(error: Exception, *, accept: str = PROBLEM_JSON) -> web.Response:
    return response_to(error, request_id="abc", target="/cat.jpg", accept=accept)


CONTRACT = {
    400: "invalid-name file-too-large file-too-small invalid-format invalid-path invalid-part-number-range "
    "invalid-parts-array s3-key-too-long original-name-too-long mime-type-too-long size-negative",
    403: "access-denied",
    404: "not-found",
    409: "s3-key-already-exists",
    500: "bucket-not-configured upload-init-failed",
}


def test_table_names_every_error_and_no_other() -> None:
    above = {errors.AuthenticationRequired}
    assert set(TABLE) == {*leaves(errors.ImgproxyError), *above}


def test_codes_of_errors_are_distinct() -> None:
    codes = [code for kind, (code, _) in TABLE.items() if kind is not errors.WrongCredential]
    assert len(set(codes)) == len(codes)


def test_meanings_have_codes_of_one_form() -> None:
    for (code, _), text in meanings().items():
        assert re.fullmatch(r"(file|common|image)/[a-z0-9-]+", code)
        assert text.endswith(".")


@pytest.mark.parametrize(
    ("status", "code"),
    [(status, f"file/{code}") for status, codes in CONTRACT.items() for code in codes.split()],
)
def test_table_has_codes_and_statuses_of_the_contract(status: int, code: str) -> None:
    assert (code, status) in set(TABLE.values())


def test_table_has_5xx_for_faults_of_the_server_and_its_storage_only() -> None:
    behind = (errors.StorageFailed, errors.StorageSlow, errors.BucketNotConfigured, errors.UploadInitFailed)
    for kind, (_, status) in TABLE.items():
        assert (status >= 500) == (issubclass(kind, errors.ServerError) or kind in behind), kind


def test_table_has_401_for_authentication_only() -> None:
    found = [kind for kind, (_, status) in TABLE.items() if status == 401]
    assert found == [errors.AuthenticationRequired, errors.WrongCredential]


def test_code_of_a_refined_error_is_that_of_its_class() -> None:
    class Refused(errors.StorageFailed):
        """Defined by a storage."""

    assert code_of(Refused("no")) == ("common/storage-failed", 502)


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (errors.BadKey(""), "common/invalid-request", 400),
        (errors.SourceTooLarge(""), "file/file-too-large", 400),
        (errors.BrokenImage(""), "file/invalid-format", 400),
        (errors.NotFound(""), "file/not-found", 404),
        (errors.NotSigned(""), *DENIED),
        (errors.StorageSlow(""), "common/storage-slow", 504),
        (errors.Conflict(""), "file/conflict", 409),
    ],
)
def test_files_error_renames_errors_of_images(error: Exception, code: str, status: int) -> None:
    named = files_error(error)
    assert isinstance(named, errors.ImgproxyError)
    assert code_of(named) == (code, status)


@pytest.mark.parametrize(("status", "code"), [(404, "common/not-found"), (500, DEFECT.code), (426, None)])
def test_code_of_status_keeps_the_status(status: int, code: str | None) -> None:
    assert code_of_status(status) == (code or "common/invalid-request", status)


def test_body_has_members_of_rfc_9457_and_of_older_clients() -> None:
    response = respond(errors.FileNotFound("there is no such file"))
    assert response.status == 404
    assert json.loads(response.body) == {  # type: ignore[arg-type]
        "success": False,
        "error": {"code": "file/not-found", "message": "there is no such file"},
        "type": "/v1/docs/errors/file/not-found",
        "title": "Not Found",
        "status": 404,
        "code": "file/not-found",
        "detail": "there is no such file",
        "message": "there is no such file",
        "request_id": "abc",
    }


def test_body_type_is_the_url_of_the_codes_page() -> None:
    assert body(TABLE[errors.KeyReused], "", "")["type"] == "/v1/docs/errors/common/idempotency-key-reused"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("application/problem+json, application/json;q=0.5", "application/problem+json"),
    ],
)
def test_problem_is_problem_json_if_accept_names_it(accept: str, kind: str) -> None:
    assert problem(TABLE[errors.Changed], "", request_id="x", accept=accept).content_type == kind


def test_problem_says_how_to_authenticate_with_401_only() -> None:
    unauthorized = respond(errors.AuthenticationRequired("sign in"))
    denied = respond(errors.AccessDenied("no"))
    assert unauthorized.headers["WWW-Authenticate"].startswith("Bearer ")
    assert "WWW-Authenticate" not in denied.headers


@pytest.mark.parametrize("kind", [errors.RateLimited, errors.Unavailable, errors.Overloaded])
def test_response_to_an_error_with_retry_after_names_the_seconds(kind: type[errors.RateLimited]) -> None:
    assert respond(kind("", retry_after=7)).headers["Retry-After"] == "7"


def test_response_to_an_error_is_not_stored() -> None:
    assert respond(errors.FileNotFound("")).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("kind", [errors.RateLimited, errors.EngineFailed, errors.StorageFailed])
def test_cacheable_leaves_errors_of_the_server_and_of_one_client(kind: type[errors.ImgproxyError]) -> None:
    headers = cacheable(respond(kind(""))).headers
    assert (headers["Cache-Control"], headers["X-Accel-Expires"]) == ("no-store", "0")


@pytest.mark.parametrize("kind", [errors.BadUrl, errors.NotFound, errors.BrokenImage])
def test_cacheable_lets_errors_of_a_request_be_stored_for_seconds(kind: type[errors.ImgproxyError]) -> None:
    headers = cacheable(respond(kind(""))).headers
    assert (headers["Cache-Control"], headers["X-Accel-Expires"]) == ("public, max-age=10", "10")


def test_response_to_a_text_that_is_no_unicode_is_a_problem() -> None:
    assert respond(errors.InvalidName("the name \udcff")).status == 400


def test_response_to_a_refusal_has_its_headers() -> None:
    response = respond(Refusal(NO_METHOD, "GET is served here", Allow="GET"))
    assert (response.status, response.headers["Allow"]) == (405, "GET")


def test_response_to_a_defect_is_logged_and_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    response = respond(ValueError("secret"))
    assert response.status == 500
    assert b"secret" not in response.body  # type: ignore[operator]
    assert [(each.levelno, each.getMessage()) for each in caplog.records] == [
        (logging.ERROR, "abc a defect; /cat.jpg")
    ]


def test_response_to_a_fault_of_the_server_is_logged_with_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    error = errors.StorageFailed("no")
    error.__cause__ = OSError("refused")
    respond(error)
    assert caplog.messages == ["abc StorageFailed: refused; /cat.jpg"]
