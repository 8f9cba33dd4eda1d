"""Uploads of more bytes than were declared, or than their collection takes."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from tests.attack.server import Attacked, Tenant
from tests.attack.wire import Response, head

MB = 1024**2


def objects(server: Attacked) -> set[Path]:
    """Every file of storage but the names of uploads in parts."""
    root = server.settings.storage.root  # type: ignore[union-attr]
    return {path for path in root.rglob("*") if path.is_file() and path.name != "key"}


def target(presigned: dict[str, Any]) -> str:
    return "/" + presigned["url"].split("/", 3)[3]


def begin_parts(acme: Tenant, **wish: Any) -> dict[str, Any]:
    given = {"filename": "cat.jpg", "contentType": "image/jpeg", **wish}
    told = acme.call("POST", "/v1/files/multipart/init", given)
    assert told.status == 200, told
    return dict(told.json())


def part_target(acme: Tenant, begun: dict[str, Any], number: int) -> str:
    asked = {"uploadId": begun["uploadId"], "key": begun["key"], "partNumber": number}
    told = acme.call("POST", "/v1/files/multipart/presigned-url", asked)
    assert told.status == 200, told
    return target(told.json())


def test_put_over_the_collections_limit_is_413_before_a_byte_is_sent(acme: Tenant) -> None:
    before = objects(acme.server)
    presigned = acme.presign(fileSize=None, category="avatars")
    raw = head(target(presigned), method="PUT", Content_Type="image/jpeg", Content_Length=str(120 * MB))
    refused = acme.server.send(raw)
    assert (refused.status, refused.json()["error"]["code"]) == (413, "file/file-too-large")
    assert objects(acme.server) <= before


def test_put_over_the_collections_limit_is_not_asked_for(acme: Tenant) -> None:
    presigned = acme.presign(fileSize=None, category="avatars")
    headers = {"Content_Type": "image/jpeg", "Content_Length": str(2 * MB + 1), "Expect": "100-continue"}
    with acme.server.connect() as wire:
        wire.send(head(target(presigned), method="PUT", **headers))
        assert wire._line().startswith(b"HTTP/1.1 413")


def test_put_without_a_length_is_refused_and_leaves_nothing(acme: Tenant) -> None:
    before = objects(acme.server)
    presigned = acme.presign(fileSize=None, category="avatars")
    raw = head(target(presigned), method="PUT", Content_Type="image/jpeg", Transfer_Encoding="chunked")
    assert acme.server.send(raw + b"100000\r\n" + bytes(MB)).status == 411
    assert objects(acme.server) <= before


def test_put_of_the_collections_limit_is_taken(acme: Tenant) -> None:
    presigned = acme.presign(fileSize=None, category="avatars")
    assert acme.put(presigned, bytes(2 * MB)).status == 200


def test_part_over_the_declared_size_is_413_before_a_byte_is_sent(acme: Tenant) -> None:
    begun = begin_parts(acme, fileSize=1000)
    before = objects(acme.server)
    raw = head(part_target(acme, begun, 1), method="PUT", Content_Length=str(30 * MB))
    refused = acme.server.send(raw)
    assert (refused.status, refused.json()["error"]["code"]) == (413, "file/file-too-large")
    assert objects(acme.server) <= before


@pytest.mark.parametrize(
    ("wish", "size"), [({"fileSize": 1000}, 400), ({"category": "avatars"}, MB - 100_000)]
)
def test_parts_sum_up_to_no_more_than_declared_or_allowed(
    acme: Tenant, wish: dict[str, Any], size: int
) -> None:
    begun = begin_parts(acme, **wish)
    put = [
        acme.server.request(part_target(acme, begun, number), method="PUT", body=bytes(size)).status
        for number in (1, 2, 3, 2)
    ]
    assert put == [200, 200, 413, 200]  # the last takes the place of the second


def test_concurrent_parts_sum_up_to_no_more_than_declared(acme: Tenant) -> None:
    """Ten parts of 400 bytes for an upload of 1,000 begin together, and end when all have begun."""
    begun = begin_parts(acme, fileSize=1000)
    before = objects(acme.server)
    targets = [part_target(acme, begun, number) for number in range(1, 11)]
    wires = [acme.server.connect() for _ in targets]
    responses: list[Response] = []

    def finish(wire: Any) -> None:
        responses.append(wire.send(bytes(1)).response())

    for wire, each in zip(wires, targets, strict=True):
        wire.send(head(each, method="PUT", Content_Length="400") + bytes(399))
    threads = [threading.Thread(target=finish, args=(wire,)) for wire in wires]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for wire in wires:
        wire.close()
    taken = [each.status for each in responses].count(200)
    assert taken <= 2
    assert [each.status for each in responses].count(413) == len(targets) - taken
    assert sum(path.stat().st_size for path in objects(acme.server) - before) <= 1000


def test_form_over_the_collections_limit_is_413_when_its_file_begins(acme: Tenant) -> None:
    before = objects(acme.server)
    boundary = "----x"
    field = f'--{boundary}\r\nContent-Disposition: form-data; name="category"\r\n\r\navatars\r\n'
    file = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    raw = head(
        "/v1/files",
        method="POST",
        X_API_Key=acme.secret_key,
        Content_Type=f"multipart/form-data; boundary={boundary}",
        Content_Length=str(120 * MB),
    )
    refused = acme.server.send(raw + field.encode() + file.encode() + b"\xff\xd8\xff\xe0" + bytes(256 * 1024))
    assert (refused.status, refused.json()["error"]["code"]) == (413, "common/body-too-large")
    assert objects(acme.server) <= before
