"""Attacks on the files API by clients that are known, and by who reads a copy of the database."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from tests.attack.server import JPEG, Attacked, Tenant
from tests.attack.wire import Response

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
