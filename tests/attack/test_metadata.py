"""Where a photo was taken, looked for in all that a server gives of a public image."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attack.server import Tenant, attacked
from tests.engine.strip_metadata.samples import SAMPLES, SECRET


@pytest.fixture(scope="module")
def stripping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    """A tenant of a server that removes metadata."""
    with attacked(tmp_path_factory.mktemp("stripping"), upload_metadata="strip") as server:
        yield server.tenant("acme")


def download(tenant: Tenant, id_: str) -> bytes:
    told = tenant.call("POST", f"/v1/files/{id_}/download-url")
    return tenant.server.request("/" + told.json()["url"].split("/", 3)[3]).body


def form(body: bytes, mime_type: str) -> bytes:
    head = (
        '--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n'
        f"Content-Type: {mime_type}\r\n\r\n"
    )
    return head.encode() + body + b"\r\n--x--\r\n"


def test_stripped_images_tell_nobody_where_they_were_taken(stripping: Tenant) -> None:
    for name in ("jpeg before a film", "png", "tiff", "heic"):
        format_, data = SAMPLES[name]
        mime_type = f"image/{format_}"
        presigned = stripping.presign(data, visibility="public", contentType=mime_type)
        assert stripping.put(presigned, data).status == 200
        registered = stripping.register(presigned["key"], data, mimeType=mime_type, visibility="public")
        assert registered.status == 201, (format_, registered)
        told = registered.json()
        body = download(stripping, told["id"])
        assert SECRET not in body
        assert len(body) == told["size"]
        shown = stripping.server.request(f"/{presigned['key']}")
        assert (shown.status, SECRET in shown.body) == (200, False)


def test_stripped_forms_tell_nobody_where_they_were_taken(stripping: Tenant) -> None:
    sent = stripping.server.request(
        "/v1/files",
        method="POST",
        body=form(SAMPLES["jpeg"][1], "image/jpeg"),
        X_API_Key=stripping.secret_key,
        Content_Type="multipart/form-data; boundary=x",
    )
    assert sent.status == 201, sent
    assert SECRET not in download(stripping, sent.json()["id"])


def test_malformed_container_is_refused_where_metadata_is_stripped(stripping: Tenant) -> None:
    data = b"\xff\xd8\xff\xe1\xff\xff" + SECRET
    presigned = stripping.presign(data)
    assert stripping.put(presigned, data).status == 200
    refused = stripping.register(presigned["key"], data)
    assert (refused.status, refused.json()["error"]["code"]) == (400, "file/invalid-format")


def test_metadata_is_kept_unless_it_is_to_be_stripped(acme: Tenant) -> None:
    data = SAMPLES["jpeg"][1]
    assert download(acme, acme.upload(data)["id"]) == data
