"""Starts of `imgproxy serve` that fail; `tests/test_serve.py` has those that succeed."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.cli.program import run


def test_a_wrong_setting_stops_the_start_with_one_line(tmp_path: Path) -> None:
    done = run("serve", cwd=tmp_path, QUEUE="many")
    assert done.returncode == 2
    assert done.stderr.startswith("imgproxy: IMGPROXY_QUEUE=many: ")
    assert done.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_one_line_too(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("serve", "--port", str(port), cwd=tmp_path, ADMIN_PORT="0")
    assert done.returncode == 1
    assert f"imgproxy: 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr
