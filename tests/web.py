"""A site as it is run: nginx by the repository's nginx.conf, and an edge behind it, or what plays one.

Each listens on free ports of loopback and ends with whoever started it. Without the `nginx` binary the
tests fail on CI, and say so elsewhere.
"""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.services import _die_with_parent, _free_ports

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / "nginx.conf"

_PATIENCE = 60.0  # seconds; the machine may be busy with other tests


@dataclass(frozen=True)
class Answer:
    """One answer; header names in lower case, lines of one name joined as RFC 9110 §5.3 has it."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def cache(self) -> str:
        """What the cache nearest to us says of it."""
        return self.headers.get("cache-status", "").rpartition(", ")[2]

    @property
    def type(self) -> str:
        return self.headers.get("content-type", "")


@dataclass(frozen=True)
class Client:
    """Asks one port, a new connection each time."""

    port: int

    def get(self, target: str, accept: str | None = None, **headers: str) -> Answer:
        return self.ask("GET", target, accept, **headers)

    def ask(
        self, method: str, target: str, accept: str | None = None, body: bytes = b"", **headers: str
    ) -> Answer:
        """Header names are written with underscores."""
        length = {"Content_Length": str(len(body))} if body else {}
        with closing(self.connect()) as connection:
            send(connection, method, target, accept, **length, **headers)
            if body:
                connection.send(body)
            return receive(connection)

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)


@dataclass(frozen=True)
class Front(Client):
    """A running nginx."""

    purge: Client


def send(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    accept: str | None = None,
    **headers: str,
) -> None:
    """Send a request with the target as it is, and no header that nobody asked for."""
    connection.putrequest(method, target, skip_accept_encoding=True)
    if accept is not None:
        connection.putheader("Accept", accept)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()


def receive(connection: http.client.HTTPConnection) -> Answer:
    found = connection.getresponse()
    headers: dict[str, str] = {}
    for name, value in found.getheaders():
        held = headers.get(name.lower())
        headers[name.lower()] = f"{held}, {value}" if held else value
    return Answer(found.status, headers, found.read())


def eventually(ask: Callable[[], Answer], cache: str) -> Answer:
    """Ask until the answer comes from the cache in this way: time passes for nginx in whole seconds."""
    end = time.monotonic() + _PATIENCE
    while (answer := ask()).cache != cache:
        assert time.monotonic() < end, f"{cache!r} expected, {answer.cache!r} to the last"
        time.sleep(0.1)
    return answer


class Edge:
    """An `imgproxy serve` that can be killed and started again in its place."""

    def __init__(self, folder: Path, **settings: str) -> None:
        """Serve what lies in `folder`/objects."""
        self.objects = folder / "objects"
        self.objects.mkdir()
        self.client, self._admin = map(Client, _free_ports(2))
        self._log = folder / "log"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("IMGPROXY_")}
        ours = {
            "IMGPROXY_ADMIN_PORT": str(self._admin.port),
            "IMGPROXY_CACHE_DIR": str(folder / "cache"),
            "IMGPROXY_DATABASE": f"sqlite:///{folder}/imgproxy.db",
            "IMGPROXY_STORAGE": f"file://{self.objects}",
            "IMGPROXY_UNREGISTERED": "public",
            "IMGPROXY_WORKERS": "1",
        }
        self._environment = {**clean, **ours, **settings, "PYTHONPATH": str(ROOT)}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "imgproxy", "serve", "--port", str(self.client.port)],
                env=self._environment,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,
            )
        _wait_for(self.client.port, self._process, self._log)

    def run(self, *words: str) -> str:
        """Have a command of ours do something beside the server, with its settings; return what it prints."""
        command = [sys.executable, "-m", "imgproxy", *words]
        done = subprocess.run(command, env=self._environment, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def misses(self) -> int:
        """How many answers were in none of its caches."""
        lines = self._admin.get("/metrics").body.decode().splitlines()
        counted = [line for line in lines if line.startswith('imgproxy_requests_total{cache="miss"')]
        return sum(int(float(line.rpartition(" ")[2])) for line in counted)


@contextmanager
def edge(folder: Path, **settings: str) -> Iterator[Edge]:
    """Run an edge."""
    running = Edge(folder, **settings)
    try:
        running.start()
        yield running
    finally:
        running.kill()


class Puppet:
    """Plays an edge: answers with what it is given, and remembers what it was asked."""

    def __init__(self, listening: socket.socket) -> None:
        self.answer = b""
        self.asked: list[bytes] = []
        self.port: int = listening.getsockname()[1]
        self._listening = listening
        self._may_speak = Event()
        self._may_speak.set()
        self._was_asked = Event()

    def say(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Answer so from now on."""
        lines = [f"HTTP/1.1 {status} So", f"Content-Length: {len(body)}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.answer = "\r\n".join([*lines, "", ""]).encode() + body

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Keep whoever asks waiting meanwhile."""
        self._was_asked.clear()
        self._may_speak.clear()
        try:
            yield
        finally:
            self._may_speak.set()

    def wait_until_asked(self) -> None:
        """Wait for a request since it fell silent."""
        assert self._was_asked.wait(_PATIENCE), "nobody asked"

    def run(self) -> None:
        with suppress(OSError):  # the listening socket is shut down
            while True:
                connection, _ = self._listening.accept()
                with closing(connection):
                    asked = b""
                    while not asked.endswith(b"\r\n\r\n") and (more := connection.recv(65_536)):
                        asked += more
                    self.asked.append(asked)
                    self._was_asked.set()
                    self._may_speak.wait(_PATIENCE)
                    connection.sendall(self.answer)


@contextmanager
def puppet() -> Iterator[Puppet]:
    """Run a puppet."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        running = Puppet(listening)
        thread = Thread(target=running.run)
        thread.start()
        try:
            yield running
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def nginx(
    folder: Path, edge_port: int, changes: Mapping[str, str] | None = None, *, purge_port: int = 0
) -> Iterator[Front]:
    """Run nginx before an edge. `changes` are texts of nginx.conf and what stands there instead."""
    port, purge = _free_ports(2)
    purge = purge_port or purge
    text = configuration(folder, ports=(port, purge, edge_port), changes=changes or {})
    (folder / "nginx.conf").write_text(text)
    command = nginx_command(folder)
    log = folder / "error.log"
    with log.open("ab") as words:
        process = subprocess.Popen(
            [*command, "-g", "daemon off;"], stdout=words, stderr=words, preexec_fn=_die_with_parent
        )
    try:
        _wait_for(port, process, log)
        yield Front(port, Client(purge))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def configuration(folder: Path, *, ports: tuple[int, int, int], changes: Mapping[str, str]) -> str:
    """The repository's nginx.conf with its files in `folder`, and ports to listen on, to purge by, to ask."""
    text = CONFIG.read_text()
    port, purge, edge_port = ports
    places = {
        "user www-data;": "user root;" if os.geteuid() == 0 else "",  # pytest's folders are nobody else's
        "/run/nginx.pid": f"{folder}/pid",
        "/var/log/nginx/error.log": f"{folder}/error.log",
        "/var/log/nginx/access.log": f"{folder}/access.log",
        "/var/cache/imgproxy": f"{folder}/cache",
        "server 127.0.0.1:8080;": f"server 127.0.0.1:{edge_port};",
        "listen 80 ": f"listen 127.0.0.1:{port} ",
        "listen 127.0.0.1:8081;": f"listen 127.0.0.1:{purge};",
    }
    for was, becomes in {**places, **changes}.items():
        assert text.count(was) == 1, f"{was!r} must stand in nginx.conf once"
        text = text.replace(was, becomes)
    return text


def nginx_command(folder: Path) -> list[str]:
    """Run nginx with `folder` for everything it writes."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    found = shutil.which("nginx", path=path)
    if not found:
        missing = "nginx is not installed: apt-get install nginx libnginx-mod-http-cache-purge"
        if "CI" in os.environ:
            pytest.fail(missing)
        pytest.skip(missing)  # a laptop runs `make test` with nothing but Python
    return [found, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port), 1)):
            return
        time.sleep(0.02)
    pytest.fail(f"nothing listens on port {port}:\n{log.read_text()}")
