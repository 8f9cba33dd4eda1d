"""An S3 bucket that counts what is read: the witness for how often storage is asked for a source image."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from aiohttp import web

from bench.servers import free_port

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "for this machine alone"}
"""What a server that reads from it has to have in its environment; not looked at."""


class Bucket:
    """Objects by name; every name that nobody has asked for yet is a new object of the same bytes."""

    def __init__(self, original: Path) -> None:
        self.port = free_port()
        self.reads: Counter[str] = Counter()
        """GET requests by name of the object."""
        self._body = original.read_bytes()

    @property
    def address(self) -> str:
        """Its address as IMGPROXY_STORAGE has it."""
        return f"s3://bench?region=us-east-1&endpoint=http://127.0.0.1:{self.port}&path_style=1"

    async def answer(self, request: web.Request) -> web.Response:
        """GET or HEAD of an object."""
        headers = {"ETag": '"1"', "Last-Modified": "Sat, 01 Jan 2000 00:00:00 GMT"}
        if request.method == "GET":
            self.reads[request.path.rpartition("/")[2]] += 1
        return web.Response(body=self._body, content_type="image/jpeg", headers=headers)


@contextlib.contextmanager
def bucket(original: Path) -> Iterator[Bucket]:
    """Run a bucket in a thread of this process."""
    made = Bucket(original)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    runner = asyncio.run_coroutine_threadsafe(_serve(made), loop).result()
    try:
        yield made
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _serve(made: Bucket) -> web.AppRunner:
    application = web.Application()
    application.router.add_get("/{path:.*}", made.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", made.port).start()
    return runner
