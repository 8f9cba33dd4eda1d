"""The OpenAPI document: valid, and what is served."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from openapi_spec_validator import validate

from imgproxy.api.endpoints import Group
from imgproxy.api.files import FILES
from imgproxy.api.openapi import document
from tests.api.shell import THINGS

GROUPS: tuple[Group[Any], ...] = (THINGS,)
DOCUMENT = document(GROUPS)
OPERATIONS = [
    (path, method, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
]


def test_the_document_is_valid() -> None:
    validate(DOCUMENT)


def test_every_endpoint_is_in_it_and_nothing_else() -> None:
    served = {(each.path, each.method.lower()) for group in GROUPS for each in group.endpoints}
    assert {(path, method) for path, method, _ in OPERATIONS} == served


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_every_operation_says_what_it_answers_and_what_goes_wrong(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    assert operation["summary"]
    assert {"401", "403", "429", "500", "503"} < operation["responses"].keys()
    assert any(status.startswith("2") for status in operation["responses"])


def contents() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, method, operation in OPERATIONS:
        for body in (operation.get("requestBody", {}), *operation["responses"].values()):
            for content in body.get("content", {}).values():
                yield f"{method} {path}", content


def examples() -> Iterator[tuple[str, dict[str, Any], Any]]:
    for where, content in contents():
        schema = content["schema"] | {"components": DOCUMENT["components"]}
        if "example" in content:
            yield where, schema, content["example"]
        for name, each in content.get("examples", {}).items():
            yield f"{where} {name}", schema, each["value"]


@pytest.mark.parametrize(("where", "schema", "value"), list(examples()))
def test_every_example_is_what_it_is_an_example_of(where: str, schema: dict[str, Any], value: Any) -> None:
    checker = OAS31Validator(schema, format_checker=oas31_format_checker)
    assert [error.message for error in checker.iter_errors(value)] == [], where


def test_a_body_may_come_in_either_of_two_types() -> None:
    content = DOCUMENT["paths"]["/v1/things"]["post"]["requestBody"]["content"]
    assert set(content) == {"application/json", "multipart/form-data"}


def test_who_may_call_is_said() -> None:
    service = DOCUMENT["paths"]["/v1/admin"]["post"]["security"]
    anybody = DOCUMENT["paths"]["/v1/things/{id}"]["get"]["security"]
    assert service == [{"ApiKey": []}]
    assert {"Bearer": []} in anybody


def test_headers_that_change_what_is_done_are_said() -> None:
    def names(path: str, method: str) -> set[str]:
        listed = DOCUMENT["paths"][path][method]["parameters"]
        return {each.get("name") or each["$ref"].rpartition("/")[2] for each in listed}

    assert names("/v1/things", "post") == {"IdempotencyKey"}
    assert names("/v1/things/{id}", "get") == {"id", "IfMatch"}
    assert names("/v1/things", "get") == {"limit"}


def test_a_parameter_that_may_be_left_out_is_said_to_be_so() -> None:
    listed = DOCUMENT["paths"]["/v1/things"]["get"]["parameters"]
    assert [(each["name"], each["required"]) for each in listed] == [("limit", False)]


def test_who_has_a_record_already_is_told_so_without_a_body() -> None:
    operations = document((FILES,))["paths"]["/v1/files/{id}"]
    told = {method for method, operation in operations.items() if "304" in operation["responses"]}
    assert told == {"get"}
    assert "content" not in operations["get"]["responses"]["304"]
