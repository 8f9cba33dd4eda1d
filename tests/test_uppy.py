"""Uploads by stock Uppy in a browser, given an `endpoint` and `headers`: whole files, and in parts.

The page is the code of docs/files-api.md. npm installs each Uppy once, by its lock in tests/uppy.
"""

from __future__ import annotations

import fcntl
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, Page, Response
from playwright.sync_api import Request as Asked

from tests import pictures
from tests.chromium import browser, program, site, visitor
from tests.deployments import signed_in
from tests.documents import FILES_API, code, filled_in
from tests.web import Edge, edge

UPPY = Path(__file__).parent / "uppy"
USED = "const uppy = new Uppy().use(AwsS3, {endpoint: host, headers: credentials})\n"
MIB = 1024**2
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
PAGE = """<!doctype html><script type="module" src="page.js"></script>"""
SCRIPT = """
const {host, credentials} = %s
%s
window.uppy = uppy
"""


@pytest.fixture(scope="session", params=["5", "6"])
def uppy(request: pytest.FixtureRequest) -> Path:
    """A folder in which one of the releases of Uppy is installed."""
    npm = program("npm", "nodejs npm")
    folder = UPPY / request.param
    lock, stamp = folder / "package-lock.json", folder / "node_modules" / ".package-lock.json"
    with (folder / "package.json").open() as waiting:
        fcntl.flock(waiting, fcntl.LOCK_EX)  # tests run in several processes
        if not stamp.exists() or stamp.stat().st_mtime < lock.stat().st_mtime:
            quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
            subprocess.run([npm, "ci", *quiet], cwd=folder, check=True, timeout=300)
    return folder


def used(uppy: Path) -> str:
    """Return the code of the documentation for this release."""
    text = code(FILES_API, "Upload with Uppy", "js")
    return text if uppy.name == "5" else filled_in(text, {USED: code(FILES_API, "Uppy 6", "js")})


@pytest.fixture
def server(deployment: dict[str, str], tmp_path: Path) -> Iterator[Edge]:
    with edge(tmp_path, **deployment) as running:
        yield running


@pytest.fixture
def olga(deployment: dict[str, str], server: Edge) -> dict[str, str]:
    """What olga shows."""
    return signed_in(deployment)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.fixture
def page(uppy: Path, server: Edge, olga: dict[str, str], chromium: Browser, tmp_path: Path) -> Iterator[Page]:
    """A page with Uppy, on a site of its own."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "index.html").write_text(PAGE)
    given = json.dumps({"host": f"http://127.0.0.1:{server.client.port}", "credentials": olga})
    source = SCRIPT % (given, used(uppy))
    pack = [
        uppy / "node_modules" / ".bin" / "esbuild",
        "--bundle",
        "--format=esm",
        f"--outfile={folder}/page.js",
    ]
    subprocess.run(pack, input=source.encode(), cwd=uppy, check=True, capture_output=True)
    with site(folder) as origin, visitor(chromium) as page:
        page.goto(origin)
        yield page


def test_stock_uppy_uploads_whole_files_and_in_parts(
    page: Page, uppy: Path, server: Edge, olga: dict[str, str], tmp_path: Path
) -> None:
    picture, film = tmp_path / "photo.jpg", tmp_path / "film.mp4"
    picture.write_bytes(pictures.encoded(pictures.quadrants(480, 320), ".jpg"))
    film.write_bytes(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom".ljust(12 * MIB, b"."))

    whole = ["GET params"] if uppy.name == "5" else in_parts(1)
    assert upload(page, picture, parts=False) == whole
    assert upload(page, film, parts=True) == in_parts(3)

    files = {name: listed(server, olga, name) for name in ("photo.jpg", "film.mp4")}
    told = {name: (file["size"], file["mimeType"], file["bucket"]) for name, file in files.items()}
    assert told == {
        "photo.jpg": (picture.stat().st_size, "image/jpeg", "images"),
        "film.mp4": (12 * MIB, "video/mp4", "media"),
    }
    shown = server.client.get(f"/60x40/{files['photo.jpg']['key']}", "image/webp")
    assert (shown.status, shown.type) == (200, "image/webp")


def _registers(found: Response) -> bool:
    return found.url.endswith("/v1/files") and found.request.method == "POST"


def in_parts(count: int) -> list[str]:
    """What a Companion is asked, sorted."""
    signed = [f"GET multipart/…/{number}" for number in range(1, count + 1)]
    return [*signed, "POST multipart", "POST multipart/…/complete"]


def upload(page: Page, path: Path, *, parts: bool) -> list[str]:
    """Have Uppy upload a file that somebody chose, and the page register it; what it asked of a Companion."""
    asked: list[str] = []
    page.on("request", lambda request: asked.extend(_companion(request)))
    page.evaluate("document.body.innerHTML = '<input type=file>'")
    page.set_input_files("input", path)
    with page.expect_response(_registers) as registered:
        failed = page.evaluate(
            """async parts => {
                uppy.getPlugin('AwsS3Multipart')?.setOptions({shouldUseMultipart: parts}) // Uppy 5
                const [data] = document.querySelector('input').files
                uppy.addFile({name: data.name, type: data.type, data})
                return (await uppy.upload()).failed.map(file => file.error)
            }""",
            parts,
        )
    assert (failed, registered.value.status) == ([], 201)
    return sorted(asked)


def _companion(request: Asked) -> list[str]:
    found = re.search(r"/s3/([^?]+)", request.url)
    return [f"{request.method} {re.sub(UUID, '…', found[1])}"] if found else []


def listed(server: Edge, shown: dict[str, str], name: str) -> dict[str, Any]:
    """The record of the last file of a name."""
    url = f"http://127.0.0.1:{server.client.port}/v1/files?limit=100"
    with urlopen(Request(url, headers=shown), timeout=60) as answer:
        return next(file for file in json.load(answer)["items"] if file["originalName"] == name)
