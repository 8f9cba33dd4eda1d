"""`imgproxy serve` as a process or several: signals, ports, caches."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest
from pydantic import ByteSize

from imgproxy.serve import share
from imgproxy.settings import Settings
from tests.pictures import encoded, plain
from tests.serving import ROOT, Served, serving


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("demo"), "--demo") as served:
        yield served


def test_serve_demo_prints_urls_that_work(demo: Served) -> None:
    urls = re.findall(rf"http://127\.0\.0\.1:{demo.port}(/\S+)", "".join(demo.words))
    assert len(urls) > 10
    assert {url: demo.get(url)[0] for url in urls} == dict.fromkeys(urls, 200)


def test_serve_demo_has_a_page(demo: Served) -> None:
    status, headers, body = demo.get("/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"<img" in body


def test_metrics_are_on_the_admin_port_alone(demo: Served) -> None:
    assert demo.get("/metrics")[0] == 404
    status, _, body = demo.get("/metrics", port=demo.admin)
    assert status == 200
    assert b"imgproxy_requests_total" in body
    for port in (demo.port, demo.admin):
        assert [demo.get(path, port=port)[0] for path in ("/healthz", "/readyz")] == [200, 200]


def test_sigterm_ends_an_idle_server(tmp_path: Path) -> None:
    (tmp_path / "data" / "objects").mkdir(parents=True)
    with serving(tmp_path) as served:
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(20) == 0


def test_sigterm_finishes_requests_under_way(tmp_path: Path) -> None:
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


def test_second_signal_ends_the_server_at_once(tmp_path: Path) -> None:
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


def test_worker_does_not_outlive_its_server(tmp_path: Path) -> None:
    (tmp_path / "data" / "objects").mkdir(parents=True)
    with serving(tmp_path) as served:
        threads = Path(f"/proc/{served.process.pid}/task").iterdir()
        children = [child for thread in threads for child in (thread / "children").read_text().split()]
        assert children
        served.process.kill()
        served.process.wait()
        while any(Path(f"/proc/{child}/root").exists() for child in children):
            pass


def test_disk_cache_serves_after_a_restart(tmp_path: Path) -> None:
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


def test_share_splits_workers_queue_and_memory_alone() -> None:
    settings = Settings(workers=5, queue=3, memory_bytes=ByteSize(1_000_001), max_source_bytes=ByteSize(1024))
    shares = [share(settings, index=index, edges=2) for index in range(2)]
    assert [(each.workers, each.queue, each.memory_bytes) for each in shares] == [
        (3, 2, 500_001),
        (2, 1, 500_000),
    ]
    for name in ("client_bytes", "sources_bytes"):
        assert sum(getattr(each, name) for each in shares) == getattr(settings, name)
    split = {"workers": 5, "queue": 3, "memory_bytes": 1_000_001, "client_bytes": 0, "sources_bytes": 0}
    assert shares[0].model_dump(exclude=set(split)) == settings.model_dump(exclude=set(split))


def test_share_has_a_worker_and_room_for_the_largest_source() -> None:
    settings = Settings(workers=1)
    shares = [share(settings, index=index, edges=8) for index in range(8)]
    assert [each.workers for each in shares] == [1] * 8
    assert all(each.sources_bytes >= settings.max_source_bytes for each in shares)


SECRET = "a purge secret of a test"
CONNECTIONS = 24  # all of them with one of two edges: one in eight million


class Visitors:
    """Connections that stay open, and so with the edges that accepted them."""

    def __init__(self, served: Served, count: int = CONNECTIONS) -> None:
        self._open = [http.client.HTTPConnection("127.0.0.1", served.port, timeout=30) for _ in range(count)]

    def __enter__(self) -> Visitors:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._open:
            each.close()

    def get(self, target: str) -> list[bytes]:
        """Return the body that each receives."""
        with ThreadPoolExecutor(len(self._open)) as threads:
            return list(threads.map(lambda connection: self._get(connection, target), self._open))

    def _get(self, connection: http.client.HTTPConnection, target: str) -> bytes:
        connection.request("GET", target)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        return body


def counted(served: Served, name: str, *labels: str) -> float:
    """Return the sum of a metric's samples with these labels."""
    lines = served.get("/metrics", port=served.admin)[2].decode().splitlines()
    samples = [line for line in lines if line.startswith((f"{name}{{", f"{name} "))]
    return sum(float(line.rpartition(" ")[2]) for line in samples if all(label in line for label in labels))


def connections(pid: int) -> int:
    """Return how many sockets a process has open."""
    return sum("socket:" in str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir())


def children_of(pid: int) -> set[int]:
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):  # a thread has ended since
            found.update(map(int, (task / "children").read_text().split()))
    return found


def edges_of(served: Served) -> list[int]:
    """Return the processes that serve requests."""
    return sorted(pid for pid in children_of(served.process.pid) if b"--listeners" in command_of(pid))


def command_of(pid: int) -> bytes:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def wait_until_gone(pids: set[int]) -> None:
    wait_for(lambda: not any(Path(f"/proc/{pid}/root").exists() for pid in pids))


def one_colour(*colour: int) -> bytes:
    """A source image whose length does not depend on its colour."""
    return encoded(plain(64, 48, colour), ".png", compression=0)


@pytest.fixture(scope="module")
def edges(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Two edges with the demo's images, and files that tests put beside them."""
    environment = {"IMGPROXY_PURGE_SECRET": SECRET, "IMGPROXY_UNREGISTERED": "public", "IMGPROXY_QUEUE": "3"}
    folder = tmp_path_factory.mktemp("edges")
    with serving(folder, "--demo", "--edges", "2", **environment) as served:
        yield served


def test_edges_serve_the_demo_and_both_respond(edges: Served) -> None:
    urls = re.findall(rf"http://127\.0\.0\.1:{edges.port}(/\S+)", "".join(edges.words))
    assert {url: edges.get(url)[0] for url in urls} == dict.fromkeys(urls, 200)
    requests = counted(edges, "imgproxy_requests_total")
    before = {pid: connections(pid) for pid in edges_of(edges)}
    with Visitors(edges) as visitors:
        visitors.get(urls[0])
        assert all(connections(pid) > count for pid, count in before.items())
    assert counted(edges, "imgproxy_requests_total") - requests == CONNECTIONS
    for port in (edges.port, edges.admin):
        assert [edges.get(path, port=port)[0] for path in ("/healthz", "/readyz")] == [200, 200]


def test_edges_transform_an_image_of_a_herd_at_most_once_each(edges: Served) -> None:
    before = counted(edges, "imgproxy_jobs_total", 'outcome="made"')
    misses = counted(edges, "imgproxy_requests_total", 'cache="miss"')
    with Visitors(edges, 200) as visitors:
        bodies = visitors.get("/1200x900/filters:blur(20):format(jpeg)/demo/portrait.jpg")
    assert len(set(bodies)) == 1
    assert counted(edges, "imgproxy_jobs_total", 'outcome="made"') - before in (1, 2)
    assert counted(edges, "imgproxy_requests_total", 'cache="miss"') - misses > 2


def test_purge_reaches_the_memory_of_every_edge(edges: Served) -> None:
    path = edges.objects / "colour.png"
    path.write_bytes(one_colour(255, 0, 0))
    was = path.stat()
    with Visitors(edges) as visitors:
        (red,) = {body for _ in range(3) for body in visitors.get("/20x20/colour.png")}
        with path.open("r+b") as file:  # the same inode, length and time: the same version
            file.write(one_colour(0, 0, 255))
        os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
        assert set(visitors.get("/20x20/colour.png")) == {red}
        assert edges.get("/colour.png", method="PURGE", Authorization=f"Bearer {SECRET}")[0] == 200
        (blue,) = {body for _ in range(3) for body in visitors.get("/20x20/colour.png")}
    assert blue != red


def test_edges_refuse_images_beyond_their_queues_with_retry_after(edges: Served) -> None:
    targets = [
        f"/1500x{1000 + number}/filters:format(png):blur(9)/demo/landscape.jpg" for number in range(40)
    ]
    with ThreadPoolExecutor(len(targets)) as threads:
        answers = list(threads.map(edges.get, targets))
    refused = [headers for status, headers, _ in answers if status == 503]
    assert refused
    assert all(int(headers["retry-after"]) >= 1 for headers in refused)
    assert {status for status, _, _ in answers} == {200, 503}


def test_disk_cache_of_several_processes_is_counted_once(edges: Served) -> None:
    edges.get("/24x24/demo/logo.png")
    kept = [path for path in (edges.objects.parent / "cache").rglob("*") if path.is_file()]
    names = ("imgproxy_cache_disk_files", "imgproxy_cache_disk_bytes")
    assert [counted(edges, name) > 0 for name in names] == [True, True]
    wait_for(lambda: counted(edges, "imgproxy_cache_disk_files") <= len(kept))


def test_counts_of_a_process_that_ended_stay_and_its_gauges_go(edges: Served) -> None:
    edges.get("/20x20/demo/logo.png")
    requests, ready = counted(edges, "imgproxy_requests_total"), ready_lines(edges)
    os.kill(edges_of(edges)[0], signal.SIGKILL)
    wait_for(lambda: ready_lines(edges) == ready + 1)
    assert counted(edges, "imgproxy_requests_total") == requests
    assert counted(edges, "imgproxy_jobs_running") == 0


def test_metrics_folder_goes_with_the_last_edge_of_a_killed_supervisor(tmp_path: Path) -> None:
    (tmp_path / "temp").mkdir()
    (tmp_path / "data" / "objects").mkdir(parents=True)
    with serving(tmp_path, "--edges", "2", TMPDIR=str(tmp_path / "temp")) as served:
        assert list((tmp_path / "temp").iterdir()) != []
        served.process.kill()
        served.process.wait()
        wait_for(lambda: list((tmp_path / "temp").iterdir()) == [])


def ready_lines(served: Served) -> int:
    """Return how many processes have been ready so far."""
    return sum("is ready" in line for line in served.words)


def test_readyz_says_the_same_on_both_ports_while_the_storage_is_down(tmp_path: Path) -> None:
    with socket.socket() as refusing:
        refusing.bind(("127.0.0.1", 0))
        address = f"s3://bucket?endpoint=http://127.0.0.1:{refusing.getsockname()[1]}&path_style=1"
        keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}
        with serving(tmp_path, "--edges", "2", IMGPROXY_STORAGE=address, **keys) as served:
            for port in (served.port, served.admin):
                status, _, body = served.get("/readyz", port=port)
                assert (status, b'"storage"' in body) == (503, True)
                assert served.get("/healthz", port=port)[0] == 200


def test_edge_that_is_killed_is_replaced_and_no_connection_is_refused(edges: Served) -> None:
    ready = ready_lines(edges)
    before, stop = edges_of(edges), threading.Event()

    def visit(_: int) -> set[int | str]:
        seen: set[int | str] = set()
        while not stop.is_set():
            try:
                seen.add(edges.get("/20x20/demo/logo.png")[0])
            except ConnectionRefusedError:
                seen.add("refused")
            except (ConnectionError, http.client.HTTPException):
                pass  # it had been accepted by the one that was killed
        return seen

    with ThreadPoolExecutor(4) as threads:
        visits = threads.map(visit, range(4))
        try:
            os.kill(before[0], signal.SIGKILL)
            wait_for(lambda: counted(edges, "imgproxy_edge_restarts_total"))
            wait_for(lambda: ready_lines(edges) == ready + 1)
        finally:
            stop.set()
        assert set().union(*visits) == {200}
    after = edges_of(edges)
    assert before[1] in after
    assert before[0] not in after


def wait_for(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_sigterm_lets_edges_finish_requests_and_leaves_no_process(tmp_path: Path) -> None:
    with serving(tmp_path, "--demo", "--edges", "2") as served:
        family = children_of(served.process.pid)
        target = "/2400x2400/filters:format(png):blur(20)/demo/landscape.jpg"
        with closing(http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)) as connection:
            connection.request("GET", target)
            while b"imgproxy_jobs_running 1.0" not in served.get("/metrics", port=served.admin)[2]:
                pass
            served.process.send_signal(signal.SIGTERM)
            answer = connection.getresponse()
            assert answer.status == 200
            assert len(answer.read()) == int(answer.getheader("Content-Length") or 0)
        assert served.process.wait(30) == 0
        wait_until_gone(family)


def test_second_signal_ends_every_process_at_once(tmp_path: Path) -> None:
    with serving(tmp_path, "--demo", "--edges", "2") as served:
        family = children_of(served.process.pid)
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
        wait_until_gone(family)


def test_edge_does_not_outlive_its_supervisor(tmp_path: Path) -> None:
    (tmp_path / "data" / "objects").mkdir(parents=True)
    with serving(tmp_path, "--edges", "2") as served:
        family = children_of(served.process.pid)
        assert len(edges_of(served)) == 2
        served.process.kill()
        served.process.wait()
        wait_until_gone(family)


def test_edges_with_memory_storage_are_an_error(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "imgproxy", "serve", "--edges", "2"],
        env={**os.environ, "IMGPROXY_STORAGE": "memory://", "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "memory://" in done.stderr
