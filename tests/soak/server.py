"""A real server under a real load: started, weighed and killed as processes."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.services import _die_with_parent
from tests.web import Edge, _wait_for


@dataclass(frozen=True)
class Weight:
    """What one process holds."""

    rss: int
    """In KiB."""
    descriptors: int


class Server(Edge):
    """`imgproxy serve`, with as many edges as wanted."""

    def __init__(self, folder: Path, *, edges: int = 1, **settings: str) -> None:
        super().__init__(folder, **{"IMGPROXY_WORKERS": "2", **settings})
        self.cache = folder / "cache"
        self._edges = edges

    def start(self) -> None:
        more = ["--edges", str(self._edges)] if self._edges > 1 else []
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "imgproxy", "serve", "--port", str(self.client.port), *more],
                env=self._environment,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,
            )
        _wait_for(self.client.port, self._process, self._log)

    def stop(self) -> None:
        """Let it finish what it is doing."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(60)

    def weights(self) -> dict[str, Weight]:
        """The server and what it has started, each by name and number."""
        return {f"{_command(pid)} {pid}": _weigh(pid) for pid in self.family()}

    def family(self) -> list[int]:
        """The server, and all below it."""
        assert self._process is not None
        found = [self._process.pid]
        for pid in found:
            found += _children(pid)
        return found

    def edges(self) -> list[int]:
        """The processes that answer."""
        members = [pid for pid in self.family()[1:] if _command(pid) == "edge"]
        return members or self.family()[:1]


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):  # a process or a thread has ended since
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    return found


def _command(pid: int) -> str:
    words: list[bytes] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return next((word.decode() for word in words if word in (b"serve", b"edge")), "worker")


def _weigh(pid: int) -> Weight:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    rss = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
    return Weight(rss, len(list(Path(f"/proc/{pid}/fd").iterdir())))


def real_bytes(folder: Path) -> int:
    """What the files below a folder take on the disk, each once however many names it has."""
    found: dict[int, int] = {}
    for path in folder.rglob("*"):
        try:
            told = path.lstat()
        except FileNotFoundError:  # removed while we look
            continue
        if path.is_file():
            found[told.st_ino] = told.st_blocks * 512
    return sum(found.values())
