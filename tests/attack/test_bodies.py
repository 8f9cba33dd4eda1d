"""Bodies that are cheap to send and dear to read: many parts, deep JSON, long numbers, long lists."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.attack.server import JPEG, Tenant
from tests.attack.wire import Response

_BOUNDARY = "----x"
_FILE = (
    b'Content-Disposition: form-data; name="file"; filename="cat.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    + JPEG
)
_FIELD = b'Content-Disposition: form-data; name=""\r\n\r\n'


def _form(*parts: bytes, before: bytes = b"") -> bytes:
    return (
        before
        + b"".join(b"--" + _BOUNDARY.encode() + b"\r\n" + part + b"\r\n" for part in parts)
        + (b"--" + _BOUNDARY.encode() + b"--\r\n")
    )


def _send(acme: Tenant, body: bytes) -> Response:
    return acme.server.request(
        "/v1/files",
        method="POST",
        body=body,
        Content_Type=f"multipart/form-data; boundary={_BOUNDARY}",
        X_API_Key=acme.secret_key,
    )


def test_form_of_100_parts_is_a_file(acme: Tenant) -> None:
    assert _send(acme, _form(*[_FIELD] * 99, _FILE)).status == 201


@pytest.mark.parametrize(
    "body",
    [
        _form(*[_FIELD] * 80_000),
        _form(_FILE, *[_FIELD] * 80_000),
        _form(*[_FIELD] * 100, _FILE),
        _form(
            b"\r\n".join(b"X-%d: y" % number for number in range(15)) + b"\r\nX: " + b"y" * 8192 + b"\r\n\r\n"
        ),
        _form(_FILE, before=b"\n" * 4_000_000),
        _form(_FILE, before=b"x" * 4_000_000),
        _form(_FILE, before=b"x\r\n" * 1_000_000),
        _form(b"X: " + b"y" * 4_000_000),
    ],
    ids=["fields", "fields after", "101 parts", "head", "lines before", "line before", "text before", "line"],
)
def test_form_beyond_its_limits_is_413(acme: Tenant, body: bytes) -> None:
    response = _send(acme, body)
    assert response.status == 413, response
    assert "must have at most" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    "part",
    [
        b"\r\n".join(b"X-%d: y" % number for number in range(1000)) + b"\r\n\r\n",
        b'Content-Disposition: form-data; name="' + b"\\" * 8000 + b'"\r\n\r\n',
        b"Content-Disposition: form-data" + b';a="' * 2000 + b"\r\n\r\n",
        b"Content-Disposition: form-data" + b";a*0*=x" * 1100 + b"\r\n\r\n",
        b"Content-Type: " + b'a/b;c="' * 1000 + b"\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\n--y--",
        b"Content-Transfer-Encoding: base64\r\n" + _FILE + b"!" * 1_000_000,
        b"Content-Encoding: gzip\r\n" + _FILE,
        b'Content-Disposition: form-data; name="_charset_"\r\n\r\n' + b"x" * 1000,
        b'Content-Disposition: form-data; name="metadata"\r\n\r\n' + b"[" * 60_000,
        b'Content-Disposition: form-data; name="metadata"\r\n\r\n{"a":' + b"9" * 60_000 + b"}",
        b'Content-Disposition: form-data; name="metadata"\r\n\r\n{"a":NaN,"b":1e400}',
        b'Content-Disposition: form-data; name="tags"\r\n\r\n[' + b"1," * 30_000 + b"1]",
        b'Content-Disposition: form-data; name="category"\r\n\r\n\xff\x00',
    ],
)
def test_form_of_hostile_parts_is_400_and_holds_nothing(acme: Tenant, part: bytes) -> None:
    status = _send(acme, _form(part, _FILE)).status
    harmless = part.startswith((b"Content-Type: a/b", b'Content-Disposition: form-data; name="\\'))
    assert status == (201 if harmless else 400)


def _post(acme: Tenant, path: str, raw: bytes, method: str = "POST") -> Response:
    return acme.server.request(
        path, method=method, body=raw, X_API_Key=acme.secret_key, Content_Type="application/json"
    )


_DEEP = b"[" * 30_000
_NESTED = b'{"a":' * 10_000 + b"1" + b"}" * 10_000


@pytest.mark.parametrize(
    "value",
    [
        _DEEP, _NESTED, b"[]," * 20_000 + b"1", b"9" * 60_000, b"1e400", b"-1e999999999", b"NaN", b"Infinity",
        b"0." + b"1" * 60_000, b"1e" + b"9" * 60_000, b'"' + b"\\u0041" * 10_000 + b'"',
        b"[" + b"{}," * 20_000 + b"{}]",
        b"{" + b'"a":1,' * 9_000 + b'"a":1}', b"{" + b",".join(b'"%d":1' % n for n in range(7_000)) + b"}",
    ],
)  # fmt: skip
def test_json_of_hostile_values_is_400_and_holds_nothing(acme: Tenant, value: bytes) -> None:
    for path in ("/v1/files/presigned-url", "/v1/files", "/v1/files/multipart/complete"):
        assert _post(acme, path, b'{"filename":"a.jpg","contentType":' + value + b"}").status == 400
        assert _post(acme, path, value).status == 400
    raw = b'{"filename":"a.jpg","contentType":"image/jpeg","unknown":' + value + b"}"
    assert _post(acme, "/v1/files/presigned-url", raw).status in (200, 400)


@pytest.mark.parametrize(
    "part",
    [
        {"partNumber": 1, "etag": "x" * 150}, {"partNumber": "1"}, {}, 1, {"partNumber": 0, "etag": ""},
        {"partNumber": 1, "etag": "\u2028" * 20},
    ],
)  # fmt: skip
def test_lists_of_10_000_parts_hold_nothing(acme: Tenant, part: Any) -> None:
    begun = acme.call(
        "POST", "/v1/files/multipart/init", {"filename": "a.mp4", "contentType": "video/mp4"}
    ).json()
    raw = json.dumps({"uploadId": begun["uploadId"], "key": begun["key"], "parts": [part] * 10_000})
    response = _post(acme, "/v1/files/multipart/complete", raw.encode())
    assert response.status == 400, response
    assert len(response.body) < 5_000


def test_lists_of_tags_and_shares_end_at_their_first_error(acme: Tenant) -> None:
    id_ = acme.upload()["id"]
    for path, given in (
        (f"/v1/files/{id_}", {"tags": [""] * 15_000}),
        (f"/v1/files/{id_}", {"tags": [{}] * 15_000}),
        (f"/v1/files/{id_}/shares", {"shares": [{}] * 15_000}),
    ):
        method = "PUT" if path.endswith("shares") else "PATCH"
        response = _post(acme, path, json.dumps(given).encode(), method)
        assert (response.status, len(response.body) < 5_000) == (400, True), response
    assert _post(acme, f"/v1/files/{id_}", b'{"tags":' + b" " * 4_000_000, "PATCH").status == 413
