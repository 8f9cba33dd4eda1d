"""Servers to measure, as processes of their own on free ports of this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_BARE = """
import asyncio, sys, uvloop
from aiohttp import web

body = bytes(int(sys.argv[2]))


async def answer(request):
    return web.Response(body=body, content_type="image/jpeg")


async def main():
    application = web.Application()
    application.router.add_get("/{target:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(sys.argv[1])).start()
    print("listens", flush=True)
    await asyncio.sleep(1e9)


uvloop.run(main())
"""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def imgproxy(root: Path, workers: int, **settings: str) -> Iterator[int]:
    """The product before a folder of public originals; the port."""
    port = free_port()
    environment = {
        **os.environ,
        "IMGPROXY_STORAGE": f"file://{root}",
        "IMGPROXY_UNREGISTERED": "public",
        "IMGPROXY_WORKERS": str(workers),
        "IMGPROXY_ADMIN_PORT": "0",
        "IMGPROXY_CACHE_BYTES": "0",
        **settings,
    }
    with _running([sys.executable, "-m", "imgproxy", "serve", "--port", str(port)], environment):
        yield port


@contextlib.contextmanager
def bare_aiohttp(size: int) -> Iterator[int]:
    """A handler of aiohttp on uvloop that answers `size` bytes and does nothing else; the port."""
    port = free_port()
    with _running([sys.executable, "-c", _BARE, str(port), str(size)], dict(os.environ)):
        yield port


@contextlib.contextmanager
def _running(command: list[str], environment: dict[str, str]) -> Iterator[None]:
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        for line in server.stdout:
            if "listens" in line:
                break
        with ThreadPoolExecutor(1) as drain:
            drain.submit(server.stdout.read)
            yield
            server.send_signal(signal.SIGTERM)
            server.wait(20)
