"""Servers to measure, as processes of their own on free ports of this machine; they end with the bench."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from bench.figure import Missing
from bench.pictures import Wish
from bench.processor import descendants

_START = 60.0  # seconds
_PR_SET_PDEATHSIG = 1

_BARE = """
import sys, uvloop
from aiohttp import web

body = open(sys.argv[2], "rb").read()


async def answer(request):
    return web.Response(body=body, content_type="image/png")


async def main():
    application = web.Application()
    application.router.add_get("/{target:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(sys.argv[1])).start()
    import asyncio
    await asyncio.sleep(1e9)


uvloop.run(main())
"""

_STATIC = """
{user}
pid {folder}/pid;
worker_processes auto;
events {{ worker_connections 4096; }}
http {{
    access_log {folder}/access.log combined buffer=32k flush=1s;
    types {{ image/png png; }}
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000;
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        root {folder};
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers."""

    port: int
    process: subprocess.Popen[bytes]
    admin: int = 0
    """Where its metrics are."""

    @property
    def base(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}"

    def counted(self, metric: str) -> float:
        """A counter as `/metrics` has it, name and labels; 0 until it is first counted."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{metric} "))

    def edges(self) -> list[int]:
        """Process ids of what answers: the one that was started and, if it is several, the others."""
        return [self.process.pid, *(pid for pid in descendants(self.process.pid) if _is_edge(pid))]

    def workers(self) -> list[int]:
        """Process ids of what makes pictures."""
        return [pid for pid in descendants(self.process.pid) if not _is_edge(pid)]


def _is_edge(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return b"edge" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return False


def address(wish: Wish) -> str:
    """Where imgproxy has a picture."""
    return f"/fit-in/{wish.width}x0/filters:format({wish.type})/{wish.name}"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def imgproxy(
    storage: Path | str,
    workers: int,
    *,
    processes: int = 1,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Running]:
    """The product before a folder of public originals, or a storage's address; small caches unless told."""
    port, admin = free_port(), free_port()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("IMGPROXY_")}
    environment = {
        **clean,
        "PYTHONPATH": str(Path(__file__).parent.parent),
        "IMGPROXY_STORAGE": f"file://{storage}" if isinstance(storage, Path) else storage,
        "IMGPROXY_UNREGISTERED": "public",
        "IMGPROXY_WORKERS": str(workers),
        "IMGPROXY_ADMIN_PORT": str(admin),
        "IMGPROXY_CACHE_BYTES": "0",
        "IMGPROXY_MEMORY_BYTES": "8MiB",
        **settings,
    }
    command = [sys.executable, "-m", "imgproxy", "serve", "--port", str(port)]
    if processes > 1:
        command += ["--edges", str(processes)]
    with running(command, port, path="/readyz", environment=environment) as process:
        yield Running(port, process, admin)


def edges_are_known() -> bool:
    """Whether this `serve` can run as several processes."""
    command = [sys.executable, "-m", "imgproxy", "serve", "--help"]
    return "--edges" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


@contextlib.contextmanager
def bare_aiohttp(body: Path) -> Iterator[Running]:
    """A handler of aiohttp on uvloop that answers a file's bytes from memory and does nothing else."""
    port = free_port()
    with running([sys.executable, "-c", _BARE, str(port), str(body)], port) as process:
        yield Running(port, process)


@contextlib.contextmanager
def static_nginx(folder: Path) -> Iterator[Running]:
    """An nginx that serves the files of a folder."""
    port = free_port()
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "static.conf").write_text(_STATIC.format(user=user, folder=folder, port=port))
    command = [nginx_binary(), "-p", str(folder), "-c", str(folder / "static.conf")]
    with running([*command, "-e", str(folder / "error.log"), "-g", "daemon off;"], port) as process:
        yield Running(port, process)


def nginx_binary() -> str:
    """Where nginx is; raise `Missing`."""
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    module = Path("/usr/lib/nginx/modules/ngx_http_cache_purge_module.so")
    if found is None or not module.exists():
        raise Missing("nginx is not installed: apt-get install nginx libnginx-mod-http-cache-purge")
    return found


@contextlib.contextmanager
def running(
    command: Sequence[str], port: int, *, path: str = "/", environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command while the block lasts, which begins when it answers; raise `RuntimeError`.

    It gets a process group, to end what it leaves behind, but no session: Linux shares the processor out by
    session (autogroup), and its `nice` would count for nothing.
    """
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=words,
            process_group=0,
            preexec_fn=_end_with_parent,
        )
        try:
            if not _answers(process, f"http://127.0.0.1:{port}{path}"):
                words.seek(0)
                raise RuntimeError(f"{command[0]} does not answer: {words.read().decode()[-500:]}")
            yield process
        finally:
            _end(process)


def _answers(process: subprocess.Popen[bytes], url: str) -> bool:
    """Wait until a server answers anything but that it is not ready; return whether it did while it lived."""
    end = time.monotonic() + _START
    while process.poll() is None and time.monotonic() < end:
        try:
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310  to ourselves
            return True
        except urllib.error.HTTPError as error:
            if error.code != 503:
                return True
        except OSError:
            pass
        time.sleep(0.005)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server, and then whatever of its group is left (thumbor's children stay behind)."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _end_with_parent() -> None:
    """Have the kernel end it if the bench is killed and cannot (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
