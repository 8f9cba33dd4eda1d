"""Another tenant's ids, keys and cursors at every endpoint: the response is that for what does not exist."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.attack.server import JPEG, Attacked, Tenant
from tests.attack.wire import Response

_SAME_EACH_TIME = re.compile(r"(x-request-id|date|(x-)?ratelimit-.*)", re.IGNORECASE)


@dataclass(frozen=True)
class Names:
    """What an attacker has learnt of a tenant's: ids and keys."""

    file: str
    key: str
    upload: str
    upload_key: str
    task: str

    def written(self, text: str) -> str:
        """A text with the names filled in."""
        for name, value in vars(self).items():
            text = text.replace(f"<{name}>", value)
        return text

    def hidden(self, text: str) -> str:
        """A response's text without the names, so that two can be compared."""
        for name, value in vars(self).items():
            text = text.replace(value, f"<{name}>") if len(value) > 8 else text
        return text


@pytest.fixture(scope="package", params=["private", "protected", "public"])
def names(acme: Tenant, request: pytest.FixtureRequest) -> Names:
    """A file and an unfinished upload of acme's."""
    file = acme.upload(visibility=request.param, tags=["secret-tag"], description="secret words")
    wish = {"filename": "cat.jpg", "contentType": "image/jpeg"}
    upload = acme.call("POST", "/v1/files/multipart/init", wish).json()
    return Names(file["id"], file["key"], upload["uploadId"], upload["key"], "1")


@pytest.fixture
def unknown(names: Names) -> Names:
    """Names of the same form that nobody has."""
    upload = names.upload[:-4] + ("0000" if names.upload[-4:] != "0000" else "1111")
    key = re.sub(r"[0-9a-f]{8}", "0" * 8, names.key, count=1)
    upload_key = re.sub(r"[0-9a-f]{8}", "0" * 8, names.upload_key, count=1)
    return Names(str(uuid.UUID(int=7)), key, upload, upload_key, "987654321")


FILE = {"s3Key": "<upload_key>", "originalName": "cat.jpg", "mimeType": "image/jpeg", "size": len(JPEG)}
PARTS = [{"partNumber": 1, "etag": "x"}]
ATTACKS: dict[str, tuple[str, str, Any]] = {
    "getFile": ("GET", "/v1/files/<file>", None),
    "getFile deleted": ("GET", "/v1/files/<file>?deleted=true", None),
    "changeFile": ("PATCH", "/v1/files/<file>", {"visibility": "public"}),
    "deleteFile": ("DELETE", "/v1/files/<file>", None),
    "restoreFile": ("POST", "/v1/files/<file>/restore", None),
    "createDownloadUrl": ("POST", "/v1/files/<file>/download-url", {}),
    "getDownloadUrl": ("GET", "/v1/files/<file>/download-url", None),
    "getShares": ("GET", "/v1/files/<file>/shares", None),
    "setShares": ("PUT", "/v1/files/<file>/shares", {"shares": [{"type": "user", "id": "mallory"}]}),
    "removeShares": ("DELETE", "/v1/files/<file>/shares", None),
    "createFile": ("POST", "/v1/files", FILE),
    "createFile again": ("POST", "/v1/files", {**FILE, "s3Key": "<key>"}),
    "createPartUrl": (
        "POST",
        "/v1/files/multipart/presigned-url",
        {"uploadId": "<upload>", "key": "<upload_key>", "partNumber": 1},
    ),
    "listParts": ("GET", "/v1/files/multipart/parts?uploadId=<upload>&key=<upload_key>", None),
    "completeMultipart": (
        "POST",
        "/v1/files/multipart/complete",
        {"uploadId": "<upload>", "key": "<upload_key>", "parts": PARTS},
    ),
    "abortMultipart": ("POST", "/v1/files/multipart/abort", {"uploadId": "<upload>", "key": "<upload_key>"}),
    "companionComplete": ("POST", "/s3/multipart/<upload>/complete?key=<upload_key>", {"parts": PARTS}),
    "companionSign": ("GET", "/s3/multipart/<upload>/1?key=<upload_key>", None),
    "companionParts": ("GET", "/s3/multipart/<upload>?key=<upload_key>", None),
    "companionAbort": ("DELETE", "/s3/multipart/<upload>?key=<upload_key>", None),
    "getEntityDownloadUrl": ("GET", "/v1/images/7/photo/download-url?fileKey=<key>", None),
    "retryTask": ("POST", "/v1/admin/outbox/<task>/retry", None),
}
NAMELESS = {
    *("createUploadUrl", "listFiles", "beginMultipart", "companionParams", "companionBegin"),
    *("createEntityUploadUrl", "listOutbox"),
}
"""Operations that take no name of what exists."""


def attack(
    server: Attacked, names: Names, operation: str, headers: Mapping[str, str]
) -> tuple[int, dict[str, str], str]:
    """Send an attack; return all of the response that may tell something."""
    method, path, body = ATTACKS[operation]
    raw = b"" if body is None else names.written(json.dumps(body)).encode()
    named = {"Content_Type": "application/json", **headers} if raw else dict(headers)
    return shown(server.request(names.written(path), method=method, body=raw, **named), names)


def shown(response: Response, names: Names) -> tuple[int, dict[str, str], str]:
    headers = {name: text for name, text in response.headers.items() if not _SAME_EACH_TIME.fullmatch(name)}
    headers.pop("content-length", None)
    text = re.sub(r'"request_id": "[^"]*"', "", response.body.decode())
    return response.status, headers, names.hidden(text)


@pytest.mark.parametrize("operation", ATTACKS)
def test_names_of_another_tenant_are_unknown(
    files: Attacked, acme: Tenant, other: Tenant, names: Names, unknown: Names, operation: str
) -> None:
    callers = [
        {"X_API_Key": other.secret_key},
        {"X_API_Key": other.publishable_key},
        other.user("olga"),
        {"X_API_Key": other.secret_key, "Authorization": f"Bearer {other.token('olga')}"},
    ]
    for headers in callers:
        theirs = attack(files, names, operation, headers)
        assert theirs == attack(files, unknown, operation, headers)
        assert theirs[0] in (400, 401, 403, 404), theirs
    assert acme.call("GET", f"/v1/files/{names.file}").status == 200


def test_attacks_cover_every_operation(files: Attacked) -> None:
    document = files.request("/v1/openapi.json").json()
    operations = {
        operation["operationId"]
        for path in document["paths"].values()
        for method, operation in path.items()
        if method != "parameters"
    }
    assert operations == {name.split()[0] for name in ATTACKS} | NAMELESS


@pytest.mark.parametrize(
    "query",
    [
        "",
        "ownerId=acme",
        "search=secret",
        "tag=secret-tag",
        "visibility=public",
        "visibility=private",
        "mimeType=image/jpeg",
        "limit=100&page=1",
        "sortBy=size",
    ],
)
def test_lists_and_counts_hold_nothing_of_another_tenant(
    files: Attacked, names: Names, other: Tenant, query: str
) -> None:
    response = files.tenant("third").call("GET", f"/v1/files?{query}")
    assert response.status == 200, response
    assert names.file not in response.body.decode()
    page = response.json()
    assert [value for value in page.values() if isinstance(value, list)] == [[]]
    assert page["pagination"]["total"] == 0


def test_cursor_of_another_tenant_shows_nothing(names: Names, acme: Tenant, other: Tenant) -> None:
    acme.upload()
    page = acme.call("GET", "/v1/files?limit=1").json()
    (cursor,) = (value for name, value in _flat(page) if name == "nextCursor")
    response = other.call("GET", f"/v1/files?limit=100&cursor={cursor}")
    assert response.status in (200, 400)
    assert names.file not in response.body.decode()


def test_idempotency_keys_are_each_tenants_own(acme: Tenant, other: Tenant) -> None:
    wish = {"filename": "cat.jpg", "contentType": "image/jpeg"}
    first, second = (
        each.call(
            "POST", "/v1/files/presigned-url", wish, X_API_Key=each.secret_key, Idempotency_Key="the-same"
        ).json()
        for each in (acme, other)
    )
    assert first["key"] != second["key"]


def _flat(value: Any) -> list[tuple[str, Any]]:
    found = []
    for name, each in value.items():
        found += _flat(each) if isinstance(each, dict) else [(name, each)]
    return found
