"""Text that no database, header or object store can hold, in every place where a client may send some.

A request with it may be refused or served: it is never a defect of ours (500) and never holds the loop.
"""

from __future__ import annotations

import base64
import json
import time
from typing import Any
from urllib.parse import quote

import jwt
import pytest

from tests.attack.conftest import Serve
from tests.attack.server import JPEG, JWT_SECRET, Attacked, Tenant
from tests.attack.wire import head

_IN_JSON = {
    "nul": r"\u0000",
    "a lone surrogate": r"\ud800",
    "a surrogate pair in the wrong order": r"\udc00\ud800",
    "CR LF": r"a\r\nX-Injected: yes",
    "a control character": r"\u007f",
    "a line separator": r"\u2028",
}
_ESCAPED = ["%00", "%ff%fe", "%ED%A0%80", "a%0D%0AX-Injected:%20yes", "%7F", "%E2%80%A8", "%"]
_BYTES = [b"\xff\xfe", b"\xed\xa0\x80", "ü".encode("latin-1"), "ü".encode()]


@pytest.mark.parametrize("bad", _IN_JSON.values(), ids=_IN_JSON)
@pytest.mark.parametrize("field", ["filename", "contentType", "category", "visibility"])
@pytest.mark.parametrize(
    "path", ["/v1/files/presigned-url", "/v1/files/multipart/init", "/v1/users/1/avatar/upload-url"]
)
def test_presign_text_that_cannot_be_stored_is_refused(acme: Tenant, path: str, field: str, bad: str) -> None:
    value = f"image/jpeg; a={bad}" if field == "contentType" else f"cat{bad}.jpg"
    given = {"filename": "cat.jpg", "contentType": "image/jpeg", field: "@"}
    raw = json.dumps(given).replace("@", value).encode()
    response = acme.server.request(
        path, method="POST", body=raw, X_API_Key=acme.secret_key, Content_Type="application/json"
    )
    assert response.status == 400, response


@pytest.mark.parametrize("repeated", [";a= ", "; a=", ";a=b ; "])
def test_type_of_many_parameters_is_refused_and_holds_nothing(acme: Tenant, repeated: str) -> None:
    kind = f"image/jpeg{repeated * 20};;"  # each space doubled the time while two parts of a pattern took it
    given = {"filename": "cat.jpg", "contentType": kind}
    assert acme.call("POST", "/v1/files/presigned-url", given).status == 400
    path = f"/s3/params?filename=cat.jpg&type={quote(kind)}"
    assert acme.call("GET", path).status == 400


@pytest.mark.parametrize("bad", _IN_JSON.values(), ids=_IN_JSON)
@pytest.mark.parametrize("field", ["description", "alt", "relatedEntityId", "category", "originalName"])
def test_patch_text_that_cannot_be_stored_is_no_defect(acme: Tenant, field: str, bad: str) -> None:
    id_ = _file(acme)["id"]
    for raw in (
        f'{{"{field}": "x{bad}"}}',
        f'{{"tags": ["x{bad}"]}}',
        f'{{"metadata": {{"x{bad}": "y{bad}"}}}}',
    ):
        response = acme.server.request(
            f"/v1/files/{id_}",
            method="PATCH",
            body=raw.encode(),
            X_API_Key=acme.secret_key,
            Content_Type="application/json",
        )
        assert response.status in (200, 400), response


_FILES: dict[int, dict[str, Any]] = {}


def _file(acme: Tenant) -> dict[str, Any]:
    """One file for all of these tests."""
    return _FILES.setdefault(id(acme), {}) or _FILES[id(acme)].update(acme.upload()) or _FILES[id(acme)]


@pytest.mark.parametrize("bad", _ESCAPED)
def test_query_and_path_text_that_cannot_be_stored_is_no_defect(acme: Tenant, bad: str) -> None:
    for target in (
        f"/v1/files?search={bad}",
        f"/v1/files?tag={bad}&category={bad}",
        f"/v1/files?ownerId={bad}",
        f"/v1/files?cursor={bad}",
        f"/v1/files?mimeType=image/{bad}",
        f"/v1/files?{bad}={bad}",
        f"/v1/files/{bad}",
        f"/v1/files/multipart/parts?uploadId={bad}&key={bad}",
        f"/s3/params?filename={bad}&type=image/jpeg;a={bad}&metadata[category]={bad}",
        f"/s3/multipart/{bad}?key={bad}",
        f"/s3/multipart/{bad}/1?key={bad}",
        f"/v1/users/{bad}/avatar/download-url?fileKey={bad}",
        f"/v1/{bad}",
        f"/-/{bad}?t={bad}",
        f"/-/{bad}",
    ):
        response = acme.call("GET", target)
        assert response.status < 500, (target, response)
    given = {"filename": "cat.jpg", "contentType": "image/jpeg"}
    for path in (
        f"/v1/{bad}/1/avatar/upload-url",
        f"/v1/users/{bad}/{bad}/upload-url",
        f"/v1/{'x' * 300}/1/y/upload-url",
    ):
        assert acme.call("POST", path, given).status < 500, path


@pytest.mark.parametrize("value", _BYTES)
@pytest.mark.parametrize(
    "name",
    [
        "X-API-Key", "Authorization", "Idempotency-Key", "If-Match", "If-None-Match", "Range", "If-Range",
        "Accept", "Origin", "Access-Control-Request-Headers", "X-Request-Id", "X-Forwarded-For",
        "Content-Type", "X-Forwarded-Proto", "Content-MD5", "If-Modified-Since", "Host", "Cookie",
        "Expect", "Content-Encoding",
    ],
)  # fmt: skip
def test_header_bytes_that_are_not_utf_8_are_no_defect(acme: Tenant, name: str, value: bytes) -> None:
    server, file = acme.server, _file(acme)
    download = acme.call("POST", f"/v1/files/{file['id']}/download-url", {}).json()["url"]
    targets = [
        ("GET", "/v1/files"),
        ("PATCH", f"/v1/files/{file['id']}"),
        ("POST", "/v1/files/presigned-url"),
        ("GET", "/" + download.split("/", 3)[3]),
        ("OPTIONS", "/v1/files"),
        ("GET", f"/fit-in/20x20/{file['key']}"),
        ("PURGE", f"/{file['key']}"),
    ]
    presigned = acme.presign()
    put = "/" + presigned["url"].split("/", 3)[3]
    for method, target in [*targets, ("PUT", put)]:
        body = JPEG if method == "PUT" else b'{"filename":"a.jpg","contentType":"image/jpeg"}'
        sent = {"X-API-Key": acme.secret_key, "Content-Type": "application/json"}
        if method == "PUT":
            sent = dict(presigned["headers"])
        if method == "GET":
            body = b""
        sent.pop(name, None)
        named = {each.replace("-", "_"): text for each, text in sent.items()}
        first, rest = head(target, method=method, body=body, Connection="close", **named).split(b"\r\n", 1)
        raw = first + b"\r\n" + name.encode() + b": Bearer " + value + b"\r\n" + rest + body
        response = server.send(raw)
        assert response.status < 500, (method, target, response)


@pytest.mark.parametrize("value", _BYTES)
def test_purge_secret_that_is_not_utf_8_is_no_defect(serve: Serve, value: bytes) -> None:
    server = serve(purge_secret="a long purge secret", unregistered="public")
    raw = (
        head("/x.jpg", method="PURGE", Connection="close")[:-2]
        + b"Authorization: Bearer "
        + value
        + b"\r\n\r\n"
    )
    assert server.send(raw).status == 403


@pytest.mark.parametrize("value", [b"\xff\xfe", b"\xed\xa0\x80", b"%ff%fe", b"%00", b"%ED%A0%80"])
@pytest.mark.parametrize(
    "target",
    [
        "/@", "/20x20/@.jpg", "/unsafe/20x20/@", "/20x20/filters:watermark(@,0,0,0)/small.jpg",
        "/@/20x20/small.jpg",
        "/20x20/filters:attachment(@)/small.jpg", "/20x20/filters:@(1)/small.jpg", "/meta/@", "/params/@",
        "/small.jpg?@=@", "/small.jpg?w=@", "/color:@", "/20x20/filters:preset(@)/small.jpg",
    ],
)  # fmt: skip
def test_edge_bytes_that_are_not_utf_8_are_no_defect(edge: Attacked, target: str, value: bytes) -> None:
    raw = head("@", Connection="close").replace(b"@", target.encode().replace(b"@", value))
    assert edge.send(raw).status < 500


@pytest.mark.parametrize("bad", [r"\u0000", r"\ud800", r"\ud800\u0000"])
@pytest.mark.parametrize("sort", ["createdAt", "originalName", "mimeType", "size"])
def test_cursor_that_holds_what_no_database_takes_is_400(acme: Tenant, sort: str, bad: str) -> None:
    value = "1" if sort in ("createdAt", "size") else f'"{bad}"'
    for made in (
        f'["{sort}",1,{value},"{bad}"]',
        f'["{sort}",1,"{bad}","x"]',
        f'["{sort}",1,{"9" * 4000},"x"]',
    ):
        cursor = base64.urlsafe_b64encode(made.encode()).decode().rstrip("=")
        assert acme.call("GET", f"/v1/files?sortBy={sort}&cursor={quote(cursor)}").status == 400


@pytest.mark.parametrize("claim", ["exp", "nbf"])
@pytest.mark.parametrize(
    "value", [10**400, -(10**400), float("inf"), float("nan"), 1e308, True, "x", None, [], {}]
)
def test_token_times_beyond_every_number_are_401(acme: Tenant, claim: str, value: Any) -> None:
    payload = {"sub": "olga", "tenant": acme.name, "exp": int(time.time()) + 60, claim: value}
    token = jwt.api_jws.encode(json.dumps(payload).encode(), JWT_SECRET)
    assert acme.server.request("/v1/files", Authorization=f"Bearer {token}").status in (200, 401)
    if claim == "exp":
        assert acme.server.request("/v1/files", Authorization=f"Bearer {token}").status == 401


@pytest.mark.parametrize("claim", ["sub", "tenant", "role", "groups"])
@pytest.mark.parametrize("value", ["\0", "\ud800", "a\r\nb", "x" * 1000, 10**400, [["x"]], {"a": 1}])
def test_token_names_that_no_database_takes_are_401(acme: Tenant, claim: str, value: Any) -> None:
    payload = {"sub": "olga", "tenant": acme.name, "exp": int(time.time()) + 60, claim: value}
    token = jwt.api_jws.encode(json.dumps(payload).encode(), JWT_SECRET)
    assert acme.server.request("/v1/files", Authorization=f"Bearer {token}").status == 401


def _segment(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "header",
    [
        '{"alg":"HS256","a":' + "[" * 1400 + "]" * 1400 + "}",
        '{"alg":["HS256"]}',
        '{"alg":{"a":1}}', '{"alg":"HS256","kid":[1]}', '{"alg":"HS256","x":["\\ud800"]}',
        '{"alg":"none"}', "[]", "1" * 2800, '{"alg":"HS256","b64":false}', '{"alg":"\\ud800"}',
        '"HS256"', "null",
        '{"alg":' + "9" * 2500 + "}",
    ],
)  # fmt: skip
def test_token_headers_of_any_form_are_401(acme: Tenant, header: str) -> None:
    for payload in ("{}", "[" * 200, '{"exp":1e999}'):
        token = f"{_segment(header)}.{_segment(payload)}.AAAA"
        response = acme.server.request("/v1/files", Authorization=f"Bearer {token}")
        assert response.status == 401, (header[:80], response)


@pytest.mark.parametrize("value", ["{}", "0", '{"partNumber":1,"eTag":"x"}'])
def test_a_list_of_more_values_than_any_needs_is_not_parsed(acme: Tenant, value: str) -> None:
    """The parser would hold the interpreter for 0.1 s, and with it every hit."""
    values = ",".join([value] * (2_000_000 // (len(value) + 1)))
    response = acme.server.request(
        "/v1/files/multipart/complete",
        method="POST",
        body=f'{{"parts":[{values}]}}'.encode(),
        Content_Type="application/json",
        X_API_Key=acme.secret_key,
    )
    assert response.status == 413, response
