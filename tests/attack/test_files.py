"""Attacks on the files API by clients that are known, and by who reads a copy of the database."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.attack.server import JPEG, Attacked, Tenant
from tests.attack.wire import Response, head

FORM = "multipart/form-data; boundary=b"


def form(body: bytes, boundary: str = "b", **fields: str) -> bytes:
    """A form with fields, and a file behind them."""
    parts = [f'form-data; name="{name}"\r\n\r\n{value}'.encode() for name, value in fields.items()]
    head = b'form-data; name="file"; filename="cat.txt"\r\nContent-Type: text/plain\r\n\r\n'
    parts.append(head + body)
    mark = b"--" + boundary.encode()
    return b"".join(mark + b"\r\nContent-Disposition: " + part + b"\r\n" for part in parts) + mark + b"--\r\n"


def send(tenant: Tenant, key: str, body: bytes, boundary: str = "b") -> Response:
    kind = f"multipart/form-data; boundary={boundary}"
    headers = {"X_API_Key": tenant.secret_key, "Content_Type": kind, "Idempotency_Key": key}
    return tenant.server.request("/v1/files", method="POST", body=body, **headers)


class TestIdempotencyKey:
    def test_form_of_the_same_length_and_other_bytes_is_422(self, acme: Tenant) -> None:
        key = uuid.uuid4().hex
        first = send(acme, key, form(b"pay ann 10"))
        assert first.status == 201, first
        for other in (form(b"pay bob 10"), form(b"pay ann 1", alt="0"), form(b"pay ann 10", alt="")):
            assert send(acme, key, other).status == 422
        again = send(acme, key, form(b"pay ann 10", boundary="another"), boundary="another")
        assert (again.status, again.json()) == (201, first.json())

    def test_body_of_json_under_the_key_of_a_form_is_422(self, acme: Tenant) -> None:
        key = uuid.uuid4().hex
        assert send(acme, key, form(b"a form")).status == 201
        headers = {"X_API_Key": acme.secret_key, "Idempotency_Key": key}
        assert acme.call("POST", "/v1/files", {"s3Key": "x"}, **headers).status in (400, 422)


class TestCopyOfTheDatabase:
    def test_holds_no_signed_url(self, files: Attacked, acme: Tenant) -> None:
        """Every URL that lets somebody write or read is asked for, with a key; no signature is stored."""
        file = acme.upload(visibility="private")
        wish = {"filename": "cat.jpg", "contentType": "image/jpeg"}
        asked = [
            ("POST", "/v1/files/presigned-url", wish),
            ("POST", "/v1/users/42/avatar/upload-url", wish),
            ("POST", f"/v1/files/{file['id']}/download-url", {}),
        ]
        urls = []
        for method, path, body in asked:
            headers = {"X_API_Key": acme.secret_key, "Idempotency_Key": uuid.uuid4().hex}
            told = acme.call(method, path, body, **headers)
            assert told.status == 200, told
            assert acme.call(method, path, body, **headers).status == 200
            urls += [value for name, value in told.json().items() if "url" in name.lower()]
        signatures = {url.rpartition("signature=")[2].encode() for url in urls}
        assert len(signatures) >= 3
        folder = Path(files.settings.database.path).parent  # type: ignore[union-attr]
        kept = b"".join(each.read_bytes() for each in folder.glob("imgproxy.db*"))
        assert acme.name.encode() in kept
        assert [each for each in signatures if each in kept] == []


class TestTokenWithoutTenant:
    @pytest.fixture
    def stranger(self, acme: Tenant) -> dict[str, str]:
        """A user of the same issuer who names no tenant, with a publishable key out of acme's page."""
        token = acme.token("eve", tenant=None)
        return {"X_API_Key": acme.publishable_key, "Authorization": f"Bearer {token}"}

    def test_reads_no_protected_file(self, acme: Tenant, stranger: dict[str, str]) -> None:
        file = acme.upload(visibility="protected")
        for path in ("/v1/files", f"/v1/files/{file['id']}", f"/v1/files/{file['id']}/download-url"):
            refused = acme.call("GET", path, **stranger)
            assert refused.status == 401
            assert "'tenant' (IMGPROXY_JWT_TENANT_CLAIM)" in refused.json()["message"]
        assert acme.call("GET", f"/v1/files/{file['id']}", **acme.user("eve")).status == 200

    def test_uploads_nothing(self, acme: Tenant, stranger: dict[str, str]) -> None:
        wish = {"filename": "cat.jpg", "contentType": "image/jpeg", "fileSize": len(JPEG)}
        assert acme.call("POST", "/v1/files/presigned-url", wish, **stranger).status == 401


class TestListAsOracle:
    """What a list holds, how many, and where its pages end tell nothing of a field that is not shown."""

    def test_owner_of_a_public_file_is_found_by_no_filter(self, acme: Tenant) -> None:
        acme.upload()
        for who in (acme.user("eve"), {"X_API_Key": acme.publishable_key}):
            for query in ("ownerId=ann", "ownerType=service", "ownerType=user", "ownerType=user&ownerId=ann"):
                refused = acme.call("GET", f"/v1/files?limit=1&{query}", **who)
                assert refused.status == 403, query
                assert refused.json()["message"].startswith("owner")
                assert not {"items", "pagination"} & refused.json().keys()

    def test_user_lists_what_is_their_own(self, acme: Tenant) -> None:
        acme.upload()
        for query in ("ownerId=eve", "ownerType=user&ownerId=eve"):
            told = acme.call("GET", f"/v1/files?{query}", **acme.user("eve"))
            assert (told.status, told.json()["items"]) == (200, [])

    @pytest.mark.parametrize(
        "query", ["metadata=1", "relatedEntityId=1", "state=deleted", "deletedAt=1", "s3Key=a"]
    )
    def test_fields_that_are_not_shown_are_no_filters(self, acme: Tenant, query: str) -> None:
        assert acme.call("GET", f"/v1/files?{query}", **acme.user("eve")).status == 400

    @pytest.mark.parametrize("sort", ["ownerId", "ownerType", "metadata", "version", "relatedEntityId"])
    def test_fields_that_are_not_shown_sort_nothing(self, acme: Tenant, sort: str) -> None:
        assert acme.call("GET", f"/v1/files?sortBy={sort}", **acme.user("eve")).status == 400

    def test_words_of_metadata_are_found_by_nobody(self, acme: Tenant) -> None:
        acme.upload(metadata={"note": "zanzibar"}, relatedEntityId="zanzibar")
        for who in (acme.user("eve"), {"X_API_Key": acme.secret_key}):
            told = acme.call("GET", "/v1/files?search=zanzibar", **who).json()
            assert (told["items"], told["pagination"]["total"]) == ([], 0)


def target(url: str) -> str:
    return "/" + url.split("/", 3)[3]


def uploaded(tenant: Tenant, body: bytes, kind: str, visibility: str = "public") -> dict[str, Any]:
    """A file of any type."""
    presigned = tenant.presign(body, contentType=kind, category="files", visibility=visibility)
    assert tenant.put(presigned, body).status == 200
    registered = tenant.register(presigned["key"], body, mimeType=kind, visibility=visibility)
    assert registered.status == 201, registered
    return dict(registered.json())


class TestDownloadUrl:
    def url(self, tenant: Tenant, file: dict[str, Any], **wish: Any) -> str:
        told = tenant.call("POST", f"/v1/files/{file['id']}/download-url", wish)
        assert told.status == 200, told
        return target(told.json()["url"])

    def change(self, tenant: Tenant, file: dict[str, Any], what: str) -> None:
        path = f"/v1/files/{file['id']}"
        match what:
            case "flip":
                assert tenant.call("PATCH", path, {"visibility": "protected"}).status == 200
            case "flip back":
                self.change(tenant, file, "flip")
                assert tenant.call("PATCH", path, {"visibility": "shared"}).status == 200
            case "delete":
                assert tenant.call("DELETE", path).status == 200
            case "restore":
                self.change(tenant, file, "delete")
                assert tenant.call("POST", f"{path}/restore").status == 200
            case "unshare":
                assert tenant.call("PUT", f"{path}/shares", {"shares": []}).status == 200

    @pytest.mark.parametrize("what", ["flip", "flip back", "delete", "restore", "unshare"])
    def test_ends_at_once_when_its_file_changes(self, files: Attacked, acme: Tenant, what: str) -> None:
        file = acme.upload(visibility="shared")
        shares = {"shares": [{"type": "user", "id": "bob"}]}
        assert acme.call("PUT", f"/v1/files/{file['id']}/shares", shares).status == 200
        url = self.url(acme, file)
        first = files.request(url)
        assert (first.status, first.body) == (200, JPEG)
        self.change(acme, file, what)
        for method in ("GET", "HEAD"):
            for headers in ({}, {"Range": "bytes=0-9"}, {"If_None_Match": first.headers["etag"]}):
                assert files.request(url, method=method, **headers).status == 403

    def test_ends_for_who_is_in_the_midst_of_it(self, files: Attacked, acme: Tenant) -> None:
        body = JPEG.ljust(32 * 1024 * 1024)
        file = uploaded(acme, body, "image/jpeg", "private")
        with files.connect(receive_buffer=4096) as wire:
            wire.send(head(self.url(acme, file), Connection="close"))
            assert wire.socket.recv(16).startswith(b"HTTP/1.1 200")
            assert acme.call("DELETE", f"/v1/files/{file['id']}").status == 200
            assert len(wire.rest()) < len(body)

    @pytest.mark.parametrize("wish", [{"expiresIn": 604_800}, {"expiresIn": 3601}, {}])
    def test_is_never_good_for_longer_than_the_deployment_says(
        self, acme: Tenant, wish: dict[str, int]
    ) -> None:
        file = acme.upload()
        query = "&".join(f"{name}={value}" for name, value in wish.items())
        path = f"/v1/files/{file['id']}/download-url"
        for told in (acme.call("POST", path, wish), acme.call("GET", f"{path}?{query}")):
            assert told.json()["expiresIn"] == 3600
            expires = parse_qs(told.json()["url"].partition("?")[2])["expires"]
            assert int(expires[0]) <= time.time() + 3600

    @pytest.mark.parametrize("seconds", [0, -1, 604_801, 10**30])
    def test_of_no_time_or_too_much_is_refused(self, acme: Tenant, seconds: int) -> None:
        file = acme.upload()
        wish = {"expiresIn": seconds}
        assert acme.call("POST", f"/v1/files/{file['id']}/download-url", wish).status == 400

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("generation=1", "generation=2"),
            ("&generation=1", ""),
            ("expires=", "expires=9"),
            ("type=image%2Fjpeg", "type=text%2Fhtml"),
            ("attachment", "inline"),
        ],
    )
    def test_that_was_changed_is_403(self, files: Attacked, acme: Tenant, old: str, new: str) -> None:
        url = self.url(acme, acme.upload(visibility="private"))
        assert old in url
        assert files.request(url.replace(old, new)).status == 403


SCRIPT = b"alert(document.domain)"
PAGES = [
    ("text/html", b"<html><script>" + SCRIPT + b"</script></html>"),
    ("text/javascript", SCRIPT),
    ("application/xml", b"<?xml version='1.0'?><?xml-stylesheet href='#x' type='text/xsl'?><data/>"),
    ("image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9' onload='alert(1)'/>"),
    ("text/css", b"a { color: red }"),
    ("text/plain", b"<html><script>" + SCRIPT + b"</script></html>"),
    ("text/plain", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
]


class TestActiveFile:
    """Bytes that a browser could run as code of our origin."""

    @pytest.mark.parametrize(("kind", "body"), PAGES)
    def test_is_never_shown_in_place(self, files: Attacked, acme: Tenant, kind: str, body: bytes) -> None:
        file = uploaded(acme, body, kind)
        told = acme.call("POST", f"/v1/files/{file['id']}/download-url", {"disposition": "inline"})
        response = files.request(target(told.json()["url"]))
        assert (response.status, response.body) == (200, body)
        assert response.headers["content-disposition"].startswith("attachment;")
        assert response.headers["content-type"] in ("application/octet-stream", "image/svg+xml", "text/plain")
        assert response.headers["x-content-type-options"] == "nosniff"
        assert {"default-src 'none'", "sandbox"} <= set(
            response.headers["content-security-policy"].split("; ")
        )

    @pytest.mark.parametrize(("kind", "body"), PAGES)
    def test_is_no_image_of_the_edge_but_for_a_drawing_of_it(
        self, files: Attacked, acme: Tenant, kind: str, body: bytes
    ) -> None:
        file = uploaded(acme, body, kind)
        response = files.request(f"/{file['key']}", Accept="image/svg+xml,text/html,*/*")
        assert response.status in (200, 415, 422)
        assert response.headers["content-type"] in ("image/png", "application/problem+json")
        assert b"alert" not in response.body
