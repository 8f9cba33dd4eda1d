"""Example images and screenshot of the documentation, from a demo server: `python -m docs.images`."""

from __future__ import annotations

import os
import shutil
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory

import pyvips
from playwright.sync_api import sync_playwright

from docs.generate import DOCS, EXAMPLES, running


def main() -> None:
    """Fetch every example and take the screenshot from a demo server."""
    with TemporaryDirectory() as folder, running(Path(folder), "serve", "--demo") as (server, _):
        for name, path in EXAMPLES.items():
            request = urllib.request.Request(f"{server}/{path}", headers={"Accept": "image/webp"})  # noqa: S310
            with urllib.request.urlopen(request) as response:  # noqa: S310
                (DOCS / "images" / f"{name}.webp").write_bytes(response.read())
        take_screenshot(server, DOCS / "demo.webp")


def take_screenshot(url: str, path: Path) -> None:
    """Write a screenshot of a page's top, at half of its size."""
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium's sandbox refuses to run as root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        page = browser.new_page(viewport={"width": 1280, "height": 1560})
        page.goto(url, wait_until="networkidle")
        png = page.screenshot(clip={"x": 0, "y": 0, "width": 1280, "height": 1560})
        browser.close()
    pyvips.Image.thumbnail_buffer(png, 960).write_to_file(str(path), Q=72)


if __name__ == "__main__":
    main()
