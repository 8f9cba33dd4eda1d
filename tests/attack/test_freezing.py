"""A write URL after registration: what readers get never changes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from imgproxy.storage import MIN_PART_BYTES
from tests.attack.server import JPEG, Attacked, Tenant
from tests.attack.wire import head
from tests.pictures import encoded, noise

EVIL = encoded(noise(64, 48), ".jpg")


def target(url: str) -> str:
    return "/" + url.split("/", 3)[3]


def body_of(acme: Tenant, file: dict[str, Any]) -> bytes:
    url = acme.call("POST", f"/v1/files/{file['id']}/download-url", {}).json()
    link = next(value for value in url.values() if isinstance(value, str) and "/-/" in value)
    return acme.server.request(target(link)).body


def registered(acme: Tenant, presigned: dict[str, Any]) -> dict[str, Any]:
    response = acme.register(presigned["key"], visibility="public")
    assert response.status == 201, response
    return dict(response.json())


@pytest.mark.parametrize("body", [JPEG[:-1] + b"!", EVIL, b"", b"<script>", JPEG + b"!"])
def test_put_after_registration_changes_nothing(acme: Tenant, body: bytes) -> None:
    presigned = acme.presign(visibility="public")
    assert acme.put(presigned).status == 200
    file = registered(acme, presigned)
    before = acme.server.request(f"/fit-in/20x20/{file['key']}")
    for _ in range(3):
        acme.put(presigned, body)
    assert body_of(acme, file) == JPEG
    assert acme.server.request(f"/fit-in/20x20/{file['key']}").headers["etag"] == before.headers["etag"]
    assert acme.server.request(f"/fit-in/21x21/{file['key']}").status == 200


def test_put_that_began_before_registration_changes_nothing(acme: Tenant) -> None:
    presigned = acme.presign(visibility="public")
    assert acme.put(presigned).status == 200
    evil = JPEG[:-2] + b"\0\0"
    named = {name.replace("-", "_"): value for name, value in presigned["headers"].items()}
    with acme.server.connect() as wire:
        wire.send(head(target(presigned["url"]), method="PUT", body=evil, **named) + evil[:100])
        file = registered(acme, presigned)
        assert wire.send(evil[100:]).response().status in (200, 403, 404, 409)
    assert body_of(acme, file) == JPEG


def test_put_between_measuring_and_publishing_changes_nothing(acme: Tenant) -> None:
    """Registers while many others write; whichever bytes were checked are those that are served."""
    presigned = acme.presign(fileSize=None, visibility="public")
    assert acme.put(presigned).status == 200
    with ThreadPoolExecutor(8) as threads:
        writes = [threads.submit(acme.put, presigned, JPEG[:-2] + bytes([n, n])) for n in range(16)]
        registering = [threads.submit(acme.register, presigned["key"], visibility="public") for _ in range(4)]
        writes += [threads.submit(acme.put, presigned, JPEG[:-2] + bytes([n, n])) for n in range(16)]
        told = [each.result() for each in registering]
        assert {each.result().status for each in writes} <= {200, 403, 404, 409, 503}
    assert [each.status for each in told].count(201) <= 1
    file = next((each.json() for each in told if each.status == 201), None) or registered(acme, presigned)
    first = body_of(acme, file)
    for n in range(4):
        acme.put(presigned, JPEG[:-2] + bytes([99, n]))
    assert body_of(acme, file) == first


def test_part_sent_after_completion_changes_nothing(acme: Tenant) -> None:
    whole = JPEG.ljust(MIN_PART_BYTES + 10, b"\0")
    wish = {"filename": "cat.jpg", "contentType": "image/jpeg"}
    upload = acme.call("POST", "/v1/files/multipart/init", wish).json()
    named = {"uploadId": upload["uploadId"], "key": upload["key"]}
    parts, urls = [], []
    for number, piece in ((1, whole[:MIN_PART_BYTES]), (2, whole[MIN_PART_BYTES:])):
        part = acme.call("POST", "/v1/files/multipart/presigned-url", {**named, "partNumber": number}).json()
        urls.append(target(part["url"]))
        sent = acme.server.request(urls[-1], method="PUT", body=piece)
        parts.append({"partNumber": number, "etag": sent.headers["etag"]})
    assert acme.call("POST", "/v1/files/multipart/complete", {**named, "parts": parts}).status == 200
    acme.server.request(urls[1], method="PUT", body=b"!" * 10)
    file = acme.register(upload["key"], whole).json()
    for url in urls:
        acme.server.request(url, method="PUT", body=b"!" * 10)
    assert acme.call("POST", "/v1/files/multipart/complete", {**named, "parts": parts[:1]}).status != 500
    assert body_of(acme, file) == whole


def test_upload_url_writes_to_no_other_key(acme: Tenant, files: Attacked) -> None:
    file, presigned = acme.upload(), acme.presign()
    path, _, query = target(presigned["url"]).partition("?")
    for key in (file["key"], f"files/acme/{file['id']}/1", path[3:].replace("staging", "files"), "x/../y"):
        named = {name.replace("-", "_"): value for name, value in presigned["headers"].items()}
        response = files.request(f"/-/{key}?{query}", method="PUT", body=JPEG, **named)
        assert response.status in (400, 403), response
    assert body_of(acme, file) == JPEG


def test_deleted_file_does_not_come_back_by_its_upload_url(acme: Tenant, files: Attacked) -> None:
    presigned = acme.presign(visibility="public")
    acme.put(presigned)
    file = registered(acme, presigned)
    assert acme.call("DELETE", f"/v1/files/{file['id']}").status in (200, 204)
    acme.put(presigned, EVIL)
    assert acme.register(presigned["key"]).status in (404, 409)
    assert files.request(f"/fit-in/20x20/{file['key']}").status == 404


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "POST", "PATCH", "PROPFIND", "COPY", "MOVE"])
def test_upload_url_does_nothing_but_put(acme: Tenant, files: Attacked, method: str) -> None:
    presigned = acme.presign()
    acme.put(presigned)
    assert files.request(target(presigned["url"]), method=method).status in (403, 405)
    assert acme.register(presigned["key"]).status == 201
