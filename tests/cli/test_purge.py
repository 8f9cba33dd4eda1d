"""`imgproxy purge`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from imgproxy.cli import main
from tests.cli.program import run
from tests.pictures import encoded, plain
from tests.serving import free_port, serving

SECRET = "a purge secret"


@pytest.fixture(autouse=True)
def _deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGPROXY_PURGE_SECRET", SECRET)


class Asked(BaseHTTPRequestHandler):
    """Answers PURGE as its server is told to, and notes what it was asked."""

    def do_PURGE(self) -> None:
        self.server.asked.append((self.path, self.headers["Authorization"]))  # type: ignore[attr-defined]
        status = self.server.statuses.pop(0)  # type: ignore[attr-defined]
        if status is None:
            self.wfile.write(b"220 mail.example ESMTP\r\n")
            return
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002  the library's name
        """Say nothing."""


@contextmanager
def answering(*statuses: int | None) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A server with an answer for each request, none being no HTTP; its address, and what it was asked."""
    server = HTTPServer(("127.0.0.1", 0), Asked)
    server.statuses, server.asked = [*statuses], []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server.asked  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a person is told."""
    assert main(["purge", *arguments]) == 2
    told = capsys.readouterr().err
    assert (told[:10], told.count("\n")) == ("imgproxy: ", 1)
    return told


def test_every_key_is_purged_by_its_path_and_with_the_secret(capsys: pytest.CaptureFixture[str]) -> None:
    keys = ["photo.jpg", "a folder/päivä+1?.jpg"]
    with answering(200, 200) as (server, asked):
        assert main(["purge", *keys, "--server", f"{server}/"]) == 0
    paths = ["/photo.jpg", "/a%20folder/p%C3%A4iv%C3%A4%2B1%3F.jpg"]
    assert asked == [(path, f"Bearer {SECRET}") for path in paths]
    assert capsys.readouterr().out.splitlines() == [f"purged {key}" for key in keys]


@pytest.mark.parametrize("status", [302, 403, 405, 503])
def test_a_server_that_refuses_is_told_with_its_status(
    capsys: pytest.CaptureFixture[str], status: int
) -> None:
    with answering(200, status) as (server, _):
        assert f"{server} answers {status} to the purge of 'b.jpg'" in refused(
            capsys, "a.jpg", "b.jpg", "--server", server
        )


def test_what_is_no_server_of_ours_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(None) as (server, _):
        assert f"{server} does not answer as HTTP has it" in refused(capsys, "a", "--server", server)


def test_a_server_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    server = f"http://127.0.0.1:{free_port()}"
    assert f"{server} cannot be reached" in refused(capsys, "photo.jpg", "--server", server)


@pytest.mark.parametrize(
    "server",
    ["127.0.0.1:8080", "localhost:8080", "file:///etc", "http://", "http://[::1", "http://host:port"],
)
def test_what_is_no_address_of_a_server_is_told(capsys: pytest.CaptureFixture[str], server: str) -> None:
    assert f"http://HOST[:PORT] is expected, not '{server}'" in refused(capsys, "passwd", "--server", server)


def test_without_a_secret_nobody_is_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGPROXY_PURGE_SECRET", "")
    with answering() as (server, asked):
        assert "IMGPROXY_PURGE_SECRET holds no secret" in refused(capsys, "a.jpg", "--server", server)
    assert asked == []


def test_a_running_server_forgets_what_it_has_made(tmp_path: Path) -> None:
    (tmp_path / "data" / "objects").mkdir(parents=True)
    (tmp_path / "data" / "objects" / "logo.png").write_bytes(encoded(plain(40, 40, [200, 30, 30]), ".png"))
    public = {"IMGPROXY_PURGE_SECRET": SECRET, "IMGPROXY_UNREGISTERED": "public"}
    with serving(tmp_path, **public) as served:
        target = "/fit-in/20x20/logo.png"
        statuses = [served.get(target)[1]["cache-status"] for _ in range(2)]
        server = f"http://127.0.0.1:{served.port}"
        done = run("purge", "logo.png", "--server", server, cwd=tmp_path, PURGE_SECRET=SECRET)
        assert (done.stdout, done.stderr) == ("purged logo.png\n", "")
        statuses.append(served.get(target)[1]["cache-status"])
    assert ["miss" in status for status in statuses] == [True, False, True]


def test_what_is_no_key_is_told_before_anything_is_purged(capsys: pytest.CaptureFixture[str]) -> None:
    with answering() as (server, asked):
        assert "'..'" in refused(capsys, "--server", server, "photo.jpg", "../secret.jpg")
    assert asked == []
