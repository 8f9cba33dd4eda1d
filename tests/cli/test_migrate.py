"""`imgproxy migrate`."""

from __future__ import annotations

from pathlib import Path

from imgproxy.files.migrations import newest
from tests.cli.program import run


def test_migrate_creates_the_database_and_may_run_again(tmp_path: Path) -> None:
    for _ in range(2):
        done = run("migrate", cwd=tmp_path, DATABASE="sqlite:///./new/record.db")
        assert (done.returncode, done.stdout) == (0, f"the database is at version {newest()}\n")
    assert (tmp_path / "new" / "record.db").exists()


def test_migrate_of_an_unreachable_database_names_the_cause_without_the_password(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    url = f"postgresql://olga:hunter2@127.0.0.1:{unused_tcp_port}/x"
    done = run("migrate", cwd=tmp_path, DATABASE=url)
    cause = "the database cannot be reached: connection refused: no server listens there"
    assert (done.returncode, done.stderr) == (1, f"imgproxy: {cause}\n")
