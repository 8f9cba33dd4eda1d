"""Whatever is asked of the API, it answers as its OpenAPI says, and never with a 5xx.

Cases are made by schemathesis out of the document itself, and sent to a real server; half of them name files
and uploads that are there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from imgproxy.api.openapi import document
from imgproxy.api.registry import GROUPS
from tests.pictures import encoded, gradient
from tests.web import Edge, edge

_CASES, _MANY = 20, 100
"""Of each endpoint: 2,700 in all, where it may take minutes."""
_LONGEST_LINE = 7_000
"""What is longer than 8,190 bytes never comes to the API: aiohttp refuses it, as most servers do."""
_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
_JPEG = encoded(gradient(16, 12), ".jpg")
_SECRET = "a secret for tests, of 32 bytes and more"

_OPERATIONS = [found.ok() for found in schemathesis.openapi.from_dict(document(GROUPS)).get_all_operations()]


@dataclass
class Api:
    """A server, who may ask it, and what is there to be asked for."""

    url: str
    credentials: list[dict[str, str]]
    there: dict[str, list[str]]
    """Names of path and query parameters and of fields, and what they are called that is there."""


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("conformance")
    chosen = {"IMGPROXY_JWT_SECRET": _SECRET, "IMGPROXY_API_RATE": "0", "IMGPROXY_UNREGISTERED": "deny"}
    with edge(folder, **chosen) as server:
        url = f"http://127.0.0.1:{server.client.port}"
        secret = {"X-API-Key": _key(server, "sk")}
        public = {"X-API-Key": _key(server, "pk")}
        token = {"Authorization": f"Bearer {server.run('token', '--sub', 'ann', '--tenant', 'acme')}"}
        credentials = [secret, {**public, **token}, token, public, {}]
        yield Api(url, credentials, _fill(url, {**public, **token}))


_EACH = pytest.mark.parametrize("operation", _OPERATIONS, ids=lambda operation: operation.label)


@_EACH
def test_every_answer_is_one_that_the_document_tells_of(operation: APIOperation[Any], api: Api) -> None:
    ask(operation, api, cases=_CASES)


@_EACH
@pytest.mark.soak
def test_so_is_every_one_of_thousands(operation: APIOperation[Any], api: Api) -> None:
    ask(operation, api, cases=_MANY)


def ask(operation: APIOperation[Any], api: Api, *, cases: int) -> None:
    """Ask so many times, as everybody in turn, well and badly."""
    made = st.one_of(
        operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
        operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
    )

    @settings(
        max_examples=cases,
        phases=[Phase.generate],
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[*HealthCheck],
    )
    @given(case=made, who=st.sampled_from(api.credentials), which=st.none() | st.integers(0, 2))
    def each(case: Case, who: dict[str, str], which: int | None) -> None:
        if which is not None:
            _name_what_is_there(case, api, which)
        assume(len(urlencode(case.query or {}, doseq=True)) < _LONGEST_LINE)
        case.call_and_validate(base_url=api.url, headers=who, checks=_CHECKS)

    each()


def _name_what_is_there(case: Case, api: Api, which: int) -> None:
    for values in (case.path_parameters, case.query, case.body):
        if isinstance(values, dict):
            named = {name: there[which % len(there)] for name, there in api.there.items() if name in values}
            values.update(named)


def _key(server: Edge, kind: str) -> str:
    return server.run("key", "create", "--kind", kind, "--tenant", "acme").split()[-1]


def _fill(url: str, headers: dict[str, str]) -> dict[str, list[str]]:
    """Bring some files, and some uploads in parts."""
    files, uploads, registered = [], [], []
    for _ in range(3):
        wish = {"filename": "cat.jpg", "contentType": "image/jpeg"}
        place = _post(f"{url}/v1/files/presigned-url", wish, headers)
        _sent("PUT", place["url"], _JPEG, place["headers"])
        said = {"s3Key": place["key"], "originalName": "cat.jpg", "mimeType": "image/jpeg"}
        files.append(_post(f"{url}/v1/files", {**said, "size": len(_JPEG)}, headers)["id"])
        registered.append(place["key"])
        uploads.append(_post(f"{url}/v1/files/multipart/init", wish, headers))
    keys = [upload["key"] for upload in uploads]
    ids = [upload["uploadId"] for upload in uploads]
    return {"id": files, "s3Key": [*registered, *keys], "key": keys, "uploadId": ids, "upload": ids}


def _post(url: str, body: Any, headers: dict[str, str]) -> Any:
    return _sent("POST", url, json.dumps(body).encode(), {**headers, "Content-Type": "application/json"})


def _sent(method: str, url: str, body: bytes, headers: dict[str, str]) -> Any:
    answer = requests.request(method, url, data=body, headers=headers, timeout=60)
    answer.raise_for_status()
    return answer.json() if answer.content else None
