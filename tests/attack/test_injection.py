"""Text of a client in response headers and in the log: no line more than the server's own."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.attack.server import JPEG, Attacked, Tenant, attacked
from tests.attack.wire import Response

BREAKS = [
    "\r\n",
    "\n",
    "\r",
    "\u2028",
    "\u0085",
    "\x0b",
    "\x0c",
    "\x00",
    "\r\n\r\n",
    '"',
    "\\",
    ";",
    "\x1b[2J",
    "\ud800",
]
INJECTED = "Injected: yes"


def clean(response: Response) -> None:
    """Assert that a response has no header of the client's making and is no page."""
    assert "injected" not in response.headers
    assert "set-cookie" not in response.headers
    assert response.status < 500
    assert not response.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("text", BREAKS)
@pytest.mark.parametrize(
    "form",
    [
        "/20x20/filters:attachment({})/small.jpg",
        "/20x20/filters:attachment(a{}b.jpg)/small.jpg",
        "/{}small.jpg",
        "/20x20/{}/small.jpg",
        "/20x20/filters:format({})/small.jpg",
        "/small.jpg?w={}",
    ],
)
def test_target_brings_no_header_with_it(edge: Attacked, form: str, text: str) -> None:
    injected = quote(f"x{text}{INJECTED}{text}<script>".encode("utf-8", "surrogatepass"), safe="")
    response = edge.request(form.format(injected))
    clean(response)
    assert b"<script>" not in response.body or response.headers["content-type"].startswith("application/")


@pytest.mark.parametrize(
    "name",
    ["X-Request-Id", "Origin", "Host", "Accept", "If-None-Match", "X-Forwarded-For", "Referer", "User-Agent"],
)
@pytest.mark.parametrize("text", ["\x0b", "\x85", '"', "\xff\xfe", "<script>", "%0d%0a", "\t", "a" * 7000])
def test_header_brings_no_other_with_it(edge: Attacked, name: str, text: str) -> None:
    response = edge.request("/20x20/small.jpg", **{name: f"x{text}{INJECTED}"})
    clean(response)
    assert "script" not in str(response.headers)


@pytest.mark.parametrize("text", BREAKS)
@pytest.mark.parametrize("field", ["filename", "contentType", "category"])
def test_upload_brings_no_header_with_it(acme: Tenant, field: str, text: str) -> None:
    wish = {"filename": "cat.jpg", "contentType": "image/jpeg", field: f"x{text}{INJECTED}"}
    presigned = acme.call("POST", "/v1/files/presigned-url", wish)
    assert presigned.status in (200, 400), presigned
    clean(presigned)
    if presigned.status == 200 and field == "filename":
        assert acme.put(presigned.json()).status == 200
        name = wish["filename"]
        file = acme.register(presigned.json()["key"], originalName=name)
        assert file.status in (201, 400), file
        if file.status == 201:
            told = acme.call("POST", f"/v1/files/{file.json()['id']}/download-url", {}).json()
            url = next(value for value in told.values() if isinstance(value, str) and "/-/" in value)
            response = acme.server.request("/" + url.split("/", 3)[3])
            clean(response)
            assert response.body == JPEG
            assert response.headers["content-disposition"].startswith("attachment")


def test_log_has_one_line_of_json_a_request_whatever_is_in_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    hostile = ['/a"b', "/a%22%2c%22status%22%3a200", "/a%0a%7b%7d", "/\x85a", "/é", "/a\\", "/a'"]
    with attacked(tmp_path) as server:  # ended before the log is read, which it writes to its end
        for target in hostile:
            head = f'GET {target} HTTP/1.1\r\nHost: x\r\nX-Request-Id: "}}\r\nConnection: close\r\n\r\n'
            server.send(head.encode())
    lines = capfd.readouterr().out.splitlines()
    logged = [json.loads(line).get("target", "") for line in lines]  # other servers of this process log, too
    parsed = [target for target in hostile if target.isascii()]  # the parser refuses other bytes unlogged
    assert len([target for target in logged if target.startswith("/a")]) == len(parsed)
    assert [type(json.loads(line)) for line in lines] == [dict] * len(lines)
