"""Peers that install themselves, each into a folder of its own under `.bench`, and how each is run.

Originals come from the same folder as ours, caches are off, quality is ours, and there are as many processes
as imgproxy has workers. What else they choose, such as the effort of encoders, is their own.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.figure import Missing, Run, say
from bench.pictures import kept
from bench.servers import free_port, running

_THUMBOR = "thumbor>=7.8,<8"
_IPX = "ipx@^3.1.1"

_CONFIG = """
LOADER = "thumbor.loaders.file_loader"
FILE_LOADER_ROOT_PATH = {root!r}
STORAGE = "thumbor.storages.no_storage"
ALLOW_UNSAFE_URL = True
QUALITY = 80
WEBP_QUALITY = 80
AVIF_QUALITY = 63
"""


@contextlib.contextmanager
def thumbor(run: Run, root: Path) -> Iterator[str]:
    """Run thumbor from PyPI; its base URL."""
    folder = kept() / "thumbor"
    port = free_port()
    config = run.scratch / "thumbor.conf"
    config.write_text(_CONFIG.format(root=str(root)))
    command = [str(_thumbor(folder)), "-c", str(config), "-i", "127.0.0.1", "-p", str(port)]
    with running([*command, "--processes", str(run.workers)], port, path="/healthcheck"):
        yield f"http://127.0.0.1:{port}"


def _thumbor(folder: Path) -> Path:
    program = folder / "bin" / "thumbor"
    if not program.exists():
        say("installing thumbor from PyPI")
        _run([sys.executable, "-m", "venv", str(folder)])
        _run([str(folder / "bin" / "pip"), "install", "--quiet", _THUMBOR])
    return program


@contextlib.contextmanager
def ipx(run: Run, root: Path) -> Iterator[str]:
    """Run IPX from npm; its base URL."""
    folder = kept() / "ipx"
    port = free_port()
    _install_ipx(folder)
    shutil.copy(Path(__file__).with_name("ipx.mjs"), folder)  # beside its node_modules
    command = ["node", str(folder / "ipx.mjs"), str(port), str(root), str(run.workers)]
    with running(command, port):
        yield f"http://127.0.0.1:{port}"


def _install_ipx(folder: Path) -> None:
    if shutil.which("npm") is None:
        raise Missing("npm is not installed: apt-get install nodejs npm")
    if not (folder / "node_modules" / "ipx").exists():
        say("installing IPX from npm")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true}')
        _run(["npm", "install", "--silent", "--prefix", str(folder), _IPX])


def versions() -> dict[str, str]:
    """The versions of those that are installed."""
    found = {}
    if (pip := kept() / "thumbor" / "bin" / "pip").exists():
        listed = json.loads(_run([str(pip), "list", "--format", "json"]))
        packages = {each["name"].lower(): each["version"] for each in listed}
        found["thumbor"] = f"{packages['thumbor']} (Pillow {packages['pillow']})"
    modules = kept() / "ipx" / "node_modules"
    if (modules / "ipx").exists():
        ours, sharp = (json.loads((modules / name / "package.json").read_text()) for name in ("ipx", "sharp"))
        found["IPX"] = (
            f"{ours['version']} (sharp {sharp['version']}, node {_run(['node', '--version']).strip()})"
        )
    return found


def _run(command: list[str]) -> str:
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except subprocess.CalledProcessError as error:
        raise Missing(f"{' '.join(command)} failed: {error.stderr.strip()[-300:]}") from None
