"""What the README tells to do with files works as it is written: in a shell, and in a browser."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests import pictures
from tests.chromium import browser, program, site, visitor
from tests.deployments import signed_in
from tests.readme import code, filled_in
from tests.serving import free_port
from tests.web import Edge, edge

WALK = "Files API in five minutes"
PAGE = "Upload from a browser"


def test_the_walk_ends_with_a_picture_that_nobody_sees_any_more(
    deployment: dict[str, str], tmp_path: Path
) -> None:
    program("jq", "jq")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    walk = filled_in(code(WALK, "sh"), {"PORT=8080": f"PORT={free_port()}"})
    script = f"set -euo pipefail; trap 'kill $(jobs -p)' EXIT\n{walk}"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("IMGPROXY_")}
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=clean | deployment,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "100.0%" in done.stderr
    assert (tmp_path / "small.webp").read_bytes()[8:12] == b"WEBP"
    assert done.stdout.splitlines()[-1] == "404"
    assert (tmp_path / "again.jpg").read_bytes() == (tmp_path / "cat.jpg").read_bytes()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.fixture
def server(deployment: dict[str, str], tmp_path: Path) -> Iterator[Edge]:
    with edge(tmp_path, **deployment) as running:
        yield running


@pytest.fixture
def page(server: Edge, deployment: dict[str, str], chromium: Browser, tmp_path: Path) -> Iterator[Page]:
    """The README's page on a site of its own, filled in for olga."""
    olga = signed_in(deployment)
    places = {
        "https://img.example": f"http://127.0.0.1:{server.client.port}",
        "pk_…": olga["X-API-Key"],
        "Bearer …": olga["Authorization"],
    }
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text(filled_in(code(PAGE, "html"), places))
    with site(tmp_path / "site") as origin, visitor(chromium) as page:
        page.goto(origin)
        yield page


def test_the_page_uploads_a_picture_shows_it_and_takes_it_back(
    page: Page, chromium: Browser, tmp_path: Path
) -> None:
    chosen = tmp_path / "cat.png"
    chosen.write_bytes(pictures.encoded(pictures.quadrants(1400, 900), ".png"))
    picture, hide = page.locator("#picture"), page.locator("#hide")
    with page.expect_request("**/v1/files/presigned-url"), held(page, "**/v1/files/presigned-url"):
        page.set_input_files("#choose", chosen)
        expect(picture).to_have_attribute("src", re.compile("^blob:"))
        expect(picture).to_have_js_property("naturalWidth", 1400)

    with page.expect_response(lambda found: found.url.endswith("?w=640")) as shown:
        expect(hide).to_be_enabled()
    assert (shown.value.status, shown.value.headers["content-type"]) == (200, "image/webp")
    expect(page.locator("#progress")).to_have_js_property("value", 1)
    expect(picture).to_have_js_property("currentSrc", shown.value.url)
    expect(picture).to_have_js_property("naturalWidth", 640)

    hide.click()
    expect(hide).to_have_text("Nobody sees it any more")
    again = page.evaluate(
        "url => fetch(url, {cache: 'reload'}).then(answer => answer.status)", shown.value.url
    )
    with visitor(chromium) as somebody:
        found = somebody.goto(shown.value.url)
        assert found
        assert (again, found.status) == (404, 404)


@contextmanager
def held(page: Page, url: str) -> Iterator[None]:
    """Keep requests from being sent meanwhile."""
    waiting: list[Route] = []
    page.route(url, lambda route: waiting.append(route))
    yield
    for each in waiting:
        each.continue_()
    page.unroute(url)
