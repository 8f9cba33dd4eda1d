"""A server as it is run: a process, signals, ports."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Served:
    """A running server, and its words so far."""

    def __init__(self, process: subprocess.Popen[str], port: int, admin: int) -> None:
        self.process, self.port, self.admin = process, port, admin
        self.words: list[str] = []

    def get(self, target: str, *, port: int = 0) -> tuple[int, dict[str, str], bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=30)) as connection:
            connection.request("GET", target)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()


@contextmanager
def serving(cwd: Path, *arguments: str, **environment: str) -> Iterator[Served]:
    port, admin = free_port(), free_port()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("IMGPROXY_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "imgproxy", "serve", "--port", str(port), *arguments],
        cwd=cwd,
        env={
            **clean,
            "IMGPROXY_ADMIN_PORT": str(admin),
            "PYTHONPATH": str(ROOT),
            "IMGPROXY_WORKERS": "1",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    served = Served(process, port, admin)
    try:
        for line in process.stdout:
            served.words.append(line)
            if "listens on" in line:
                break
        reader = threading.Thread(target=lambda: served.words.extend(process.stdout or ()))
        reader.start()
        yield served
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stdout.close()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("demo"), "--demo") as served:
        yield served


def test_the_demo_prints_urls_that_work(demo: Served) -> None:
    urls = re.findall(rf"http://127\.0\.0\.1:{demo.port}(/\S+)", "".join(demo.words))
    assert len(urls) > 10
    assert {url: demo.get(url)[0] for url in urls} == dict.fromkeys(urls, 200)


def test_the_demo_has_a_page(demo: Served) -> None:
    status, headers, body = demo.get("/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"<img" in body


def test_the_admin_port_has_metrics_and_the_public_one_has_not(demo: Served) -> None:
    assert demo.get("/metrics")[0] == 404
    status, _, body = demo.get("/metrics", port=demo.admin)
    assert status == 200
    assert b"imgproxy_requests_total" in body
    for port in (demo.port, demo.admin):
        assert [demo.get(path, port=port)[0] for path in ("/healthz", "/readyz")] == [200, 200]


def test_sigterm_ends_a_server_that_has_nothing_to_do(tmp_path: Path) -> None:
    (tmp_path / "data" / "objects").mkdir(parents=True)
    with serving(tmp_path) as served:
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(20) == 0


def test_sigterm_finishes_what_is_under_way(tmp_path: Path) -> None:
    with serving(tmp_path, "--demo") as served:
        target = "/2400x2400/filters:format(png):blur(20)/demo/landscape.jpg"
        with closing(http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)) as connection:
            connection.request("GET", target)
            while b"imgproxy_jobs_running 1.0" not in served.get("/metrics", port=served.admin)[2]:
                pass
            served.process.send_signal(signal.SIGTERM)
            answer = connection.getresponse()
            assert answer.status == 200
            assert len(answer.read()) == int(answer.getheader("Content-Length") or 0)
        assert served.process.wait(20) == 0


def test_a_second_signal_stops_at_once(tmp_path: Path) -> None:
    with serving(tmp_path, "--demo") as served:
        target = "/6000x6000/filters:format(png):blur(100)/demo/landscape.jpg"
        with closing(http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)) as connection:
            connection.request("GET", target)
            while b"imgproxy_jobs_running 1.0" not in served.get("/metrics", port=served.admin)[2]:
                pass
            served.process.send_signal(signal.SIGTERM)
            while not any("draining" in line for line in served.words):
                pass
            served.process.send_signal(signal.SIGTERM)
            assert served.process.wait(20) == -signal.SIGTERM


def test_a_worker_does_not_outlive_its_server(tmp_path: Path) -> None:
    (tmp_path / "data" / "objects").mkdir(parents=True)
    with serving(tmp_path) as served:
        threads = Path(f"/proc/{served.process.pid}/task").iterdir()
        children = [child for thread in threads for child in (thread / "children").read_text().split()]
        assert children
        served.process.kill()
        served.process.wait()
        while any(Path(f"/proc/{child}/root").exists() for child in children):
            pass


def test_purge_is_a_command_too(tmp_path: Path) -> None:
    secret = {"IMGPROXY_PURGE_SECRET": "secret"}
    with serving(tmp_path, "--demo", **secret) as served:
        target = "/fit-in/20x20/demo/logo.png"
        statuses = [served.get(target)[1]["cache-status"] for _ in range(2)]
        done = subprocess.run(
            [
                *(sys.executable, "-m", "imgproxy", "purge", "demo/logo.png"),
                *("--server", f"http://127.0.0.1:{served.port}"),
            ],
            env={**os.environ, **secret, "PYTHONPATH": str(ROOT)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.stdout, done.stderr) == ("purged demo/logo.png\n", "")
        statuses.append(served.get(target)[1]["cache-status"])
    assert ["miss" in status for status in statuses] == [True, False, True]


def test_what_was_made_is_answered_after_a_restart_too(tmp_path: Path) -> None:
    target = "/fit-in/200x200/demo/landscape.jpg"
    seen = []
    for _ in range(2):
        with serving(tmp_path, "--demo") as served:
            status, headers, body = served.get(target)
            seen.append((status, headers["etag"], body))
            statuses = headers["cache-status"]
            served.process.send_signal(signal.SIGTERM)
            assert served.process.wait(20) == 0
    assert seen[0] == seen[1]
    assert statuses == "imgproxy; hit; detail=disk"
