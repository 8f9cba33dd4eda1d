"""`imgproxy serve` in a process of its own, or in several."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Served:
    """A running server, and its words so far."""

    def __init__(self, process: subprocess.Popen[str], port: int, admin: int, objects: Path) -> None:
        self.process, self.port, self.admin = process, port, admin
        self.objects = objects
        """Where the source images lie."""
        self.words: list[str] = []

    def get(
        self, target: str, *, port: int = 0, method: str = "GET", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=30)) as connection:
            connection.request(method, target, headers=headers)
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
    served = Served(process, port, admin, cwd / "data" / "objects")
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
