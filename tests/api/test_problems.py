"""From an error to the API's answer."""

from __future__ import annotations

import json
import re

import pytest

from imgproxy import errors
from imgproxy.api.problems import TABLE, answer_to, body, problem, told


def leaves(kind: type[errors.ImgproxyError]) -> list[type[errors.ImgproxyError]]:
    below = [each for each in kind.__subclasses__() if each.__module__ == errors.__name__]
    return [leaf for each in below for leaf in leaves(each)] if below else [kind]


CONTRACT = {
    400: "invalid-name file-too-large file-too-small invalid-format invalid-path invalid-part-number-range "
    "invalid-parts-array s3-key-too-long original-name-too-long mime-type-too-long size-negative",
    403: "access-denied",
    404: "not-found",
    409: "s3-key-already-exists",
    500: "bucket-not-configured upload-init-failed",
}


@pytest.mark.parametrize("kind", leaves(errors.ImgproxyError))
def test_every_error_has_a_code(kind: type[errors.ImgproxyError]) -> None:
    assert re.fullmatch(r"(file|common)/[a-z0-9-]+", told(kind("it cannot be")).code)


def test_every_error_of_the_files_api_has_a_code_of_its_own() -> None:
    own = leaves(errors.FilesError)
    assert [kind for kind in own if kind not in TABLE] == []
    assert len({TABLE[kind].code for kind in own}) == len(own)


@pytest.mark.parametrize(
    ("status", "code"),
    [(status, f"file/{code}") for status, codes in CONTRACT.items() for code in codes.split()],
)
def test_the_codes_of_the_contract_have_its_statuses(status: int, code: str) -> None:
    assert (code, status) in set(TABLE.values())


def test_nothing_but_authentication_is_401() -> None:
    found = [kind for kind, (_, status) in TABLE.items() if status == 401]
    assert found == [errors.AuthenticationRequired, errors.WrongCredential]
    assert TABLE[errors.AuthenticationRequired].code == "common/authentication-required"


def test_a_refined_error_looks_like_its_kind() -> None:
    class Refused(errors.StorageFailed):
        """As a storage may have it."""

    assert told(Refused("no")) == ("common/storage-failed", 502)


def test_one_body_serves_both_kinds_of_clients() -> None:
    answer = answer_to(errors.FileNotFound("there is no such file"), request_id="abc")
    assert answer.status == 404
    assert json.loads(answer.body) == {  # type: ignore[arg-type]
        "success": False,
        "error": {"code": "file/not-found", "message": "there is no such file"},
        "type": "/v1/docs#file-not-found",
        "title": "Not Found",
        "status": 404,
        "detail": "there is no such file",
        "message": "there is no such file",
        "request_id": "abc",
    }


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("application/problem+json, application/json;q=0.5", "application/problem+json"),
    ],
)
def test_problem_json_is_for_those_who_ask(accept: str, kind: str) -> None:
    assert problem(TABLE[errors.Changed], "", request_id="x", accept=accept).content_type == kind


def test_401_says_how_to_authenticate_and_nothing_else_does() -> None:
    asked = answer_to(errors.AuthenticationRequired("sign in"), request_id="x")
    denied = answer_to(errors.AccessDenied("no"), request_id="x")
    assert asked.headers["WWW-Authenticate"].startswith("Bearer ")
    assert "WWW-Authenticate" not in denied.headers


@pytest.mark.parametrize(
    "error", [errors.RateLimited("", retry_after=7), errors.Unavailable("", retry_after=7)]
)
def test_who_must_wait_is_told_how_long(error: errors.ImgproxyError) -> None:
    assert answer_to(error, request_id="x").headers["Retry-After"] == "7"


def test_no_error_is_kept_by_anybody() -> None:
    assert answer_to(errors.FileNotFound(""), request_id="x").headers["Cache-Control"] == "no-store"


def test_a_text_that_is_no_unicode_still_makes_a_problem() -> None:
    assert answer_to(errors.InvalidName("the name \udcff"), request_id="x").status == 400


def test_the_type_is_where_the_documentation_speaks_of_it() -> None:
    assert body(TABLE[errors.KeyReused], "", "")["type"] == "/v1/docs#common-idempotency-key-reused"
