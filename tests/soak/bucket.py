"""An S3 of one object that can be held up while it sends it, to be asked over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any


class SlowBucket(ThreadingHTTPServer):
    """Whatever key is asked for is the one object."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.body = b""
        self.reached, self.go_on = Event(), Event()
        self.go_on.set()

    def hold(self) -> None:
        """Let no reader go on who has begun to read what is there now."""
        self.reached.clear()
        self.go_on.clear()

    @property
    def settings(self) -> dict[str, str]:
        """What makes this the storage of a server."""
        return {
            "IMGPROXY_STORAGE": f"s3://bucket?endpoint=http://127.0.0.1:{self.server_port}&path_style=1&region=x",
            "AWS_ACCESS_KEY_ID": "anybody",
            "AWS_SECRET_ACCESS_KEY": "anything",
        }


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: SlowBucket

    def do_HEAD(self) -> None:
        self._describe(self.server.body)

    def do_GET(self) -> None:
        body = self.server.body
        self.server.reached.set()
        self.server.go_on.wait(60)
        self._describe(body)
        self.wfile.write(body)

    def _describe(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{md5(body, usedforsecurity=False).hexdigest()}"')
        self.send_header("Last-Modified", formatdate(usegmt=True))
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def slow_bucket() -> Iterator[SlowBucket]:
    """Run one."""
    with SlowBucket() as bucket:
        thread = Thread(target=bucket.serve_forever)
        thread.start()
        try:
            yield bucket
        finally:
            bucket.go_on.set()
            bucket.shutdown()
            thread.join()
