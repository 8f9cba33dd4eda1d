"""Keys that try to leave the folder of objects, or to reach what lies in it beside images."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attack.server import JPEG, Attacked, attacked
from tests.attack.wire import Response

OUTSIDE = b"bytes outside of the folder"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Attacked, Path]]:
    """A server over a folder beside which a file lies, with links and hidden files in it."""
    root = tmp_path_factory.mktemp("keys")
    (root / "outside.jpg").write_bytes(JPEG + OUTSIDE)
    (root / "objects" / "sub").mkdir(parents=True)
    with attacked(root, unregistered="public") as server:
        objects = root / "objects"
        for name in ("photo.jpg", "sub/photo.jpg", ".hidden.jpg", "sub/.hidden.jpg"):
            (objects / name).write_bytes(JPEG)
        (objects / "link.jpg").symlink_to(root / "outside.jpg")
        (objects / "linked").symlink_to(root)
        (objects / "loop.jpg").symlink_to("loop.jpg")
        (objects / "lost+found").mkdir()
        (objects / "lost+found" / "photo.jpg").write_bytes(JPEG)
        (objects / "found.jpg").symlink_to("lost+found/photo.jpg")
        (objects / "found").symlink_to("lost+found")
        yield server, root


DOTS = [
    "..",
    "%2e%2e",
    ".%2e",
    "%2E.",
    "%252e%252e",
    "%c0%ae%c0%ae",
    "%e0%80%ae%e0%80%ae",
    "．．",
    "..;",
    "..%00",
]
SLASHES = ["/", "%2f", "%5c", "\\", "%252f", "%c0%af", "／", "//", "/./"]
TRICKS = [
    *(f"{dots}{slash}outside.jpg" for dots in DOTS for slash in SLASHES),
    *(f"sub/{dots}/{dots}/outside.jpg" for dots in DOTS),
    *("link.jpg", "linked/outside.jpg", "linked/imgproxy.db", "loop.jpg", "found.jpg", "found/photo.jpg"),
    *(
        ".hidden.jpg",
        "sub/.hidden.jpg",
        "sub",
        "sub/",
        ".",
        "./",
        "",
        "/",
        "photo.jpg/",
        "photo.jpg/.",
        "photo.jpg/x",
    ),
    *(
        "/etc/hostname",
        "//etc/hostname",
        "%2fetc%2fhostname",
        "file:///etc/hostname",
        "file:%2f%2f/etc/hostname",
    ),
    *(
        "http://127.0.0.1:1/x.jpg",
        "http:%2f%2f127.0.0.1:1%2fx.jpg",
        "//127.0.0.1:1/x.jpg",
        "s3://bucket/x.jpg",
    ),
    *(
        "photo.jpg%00",
        "photo.jpg%00.png",
        "photo.jpg%0a",
        "%0d%0aphoto.jpg",
        "photo.jpg%7f",
        "photo.jpg%e2%80%a8",
    ),
    *(
        "%ff%fe",
        "%ed%a0%80",
        "%",
        "%2",
        "%zz",
        "%u002e%u002e/outside.jpg",
        "a" * 1100,
        "a/" * 600 + "b",
        "é" * 600,
    ),
    *("CON", "photo.jpg::$DATA", "photo.jpg.", "PHOTO.JPG", "~root/x.jpg", "$HOME/x.jpg", "`id`.jpg", "|id"),
    *(".uploads/x", ".multipart/x", ".tmp/x", ".staging/x", "lost+found", "proc/self/environ"),
    "b64:" + base64.urlsafe_b64encode(b"../outside.jpg").decode().rstrip("="),
    "b64:" + base64.urlsafe_b64encode(b"/etc/hostname").decode().rstrip("="),
    "b64:" + base64.urlsafe_b64encode(b"b64:Li4vb3V0c2lkZS5qcGc").decode().rstrip("="),
]
FORMS = ["/{}", "/unsafe/{}", "/meta/{}", "/20x20/{}", "/fit-in/20x20/filters:watermark({})/photo.jpg"]


def asked(server: Attacked, target: bytes) -> Response:
    """The response to a raw target; a redirect to its canonical spelling, which is ours, is followed once."""
    response = server.send(b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % target)
    if response.status != 308:
        return response
    location = response.headers["location"]
    assert re.fullmatch(r"/[!-.0-\[\]-~][!-~]*", location), location  # of our own host, whoever reads it
    return server.request(location)


@pytest.mark.parametrize("form", FORMS)
def test_no_key_reaches_beyond_the_folder(folder: tuple[Attacked, Path], form: str) -> None:
    server, root = folder
    for trick in TRICKS:
        raw = form.format(trick).encode()
        response = asked(server, raw)
        assert response.status in (400, 404), (trick, response)
        assert JPEG[:20] not in response.body
        assert OUTSIDE not in response.body
        assert str(root).encode() not in response.body


def test_files_that_may_be_seen_are(folder: tuple[Attacked, Path]) -> None:
    server, _ = folder
    encoded = "b64:" + base64.urlsafe_b64encode(b"photo.jpg").decode().rstrip("=")
    for key in ("photo.jpg", "sub/photo.jpg", "sub%2fphoto.jpg", "ph%6fto.jpg", encoded):
        assert asked(server, f"/20x20/{key}".encode()).status == 200, key


@pytest.mark.parametrize(
    "path", ["/-/", "/-/photo.jpg", "/-/../outside.jpg", "/-/%2e%2e/outside.jpg", "/-//etc/hostname"]
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_gateway_does_nothing_without_a_signed_url(
    folder: tuple[Attacked, Path], path: str, method: str
) -> None:
    server, root = folder
    before = sorted((root / "objects").rglob("*"))
    response = server.request(path, method=method, body=b"x" if method == "PUT" else b"")
    assert response.status in (400, 403, 404, 405)
    assert sorted((root / "objects").rglob("*")) == before
