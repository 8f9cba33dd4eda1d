"""A real browser: Debian's Chromium, driven by Playwright; each page is a new visitor.

Without the `chromium` binary the tests fail on CI, and say so elsewhere.
"""

from __future__ import annotations

import http.server
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

_PATIENCE = 60_000  # milliseconds; the machine may be busy with other tests


@contextmanager
def browser() -> Iterator[Browser]:
    """Run a Chromium."""
    path = program("chromium", "chromium")
    # its sandbox wants to be started by somebody who is not root
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield running
        finally:
            running.close()


@contextmanager
def visitor(running: Browser) -> Iterator[Page]:
    """Open a window of somebody who has never been here; what goes wrong in its pages fails the test."""
    context = running.new_context()
    context.set_default_timeout(_PATIENCE)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    try:
        yield page
        assert errors == []
    finally:
        context.close()


@contextmanager
def site(folder: Path) -> Iterator[str]:
    """Serve a folder as somebody else's site; its origin."""
    handler = partial(_Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def program(name: str, package: str) -> str:
    """Where a program is that apt brings and pip does not."""
    found = shutil.which(name)
    if not found:
        missing = f"{name} is not installed: apt-get install {package}"
        if "CI" in os.environ:
            pytest.fail(missing)
        pytest.skip(missing)  # a laptop runs `make test` with nothing but Python
    return found


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""
