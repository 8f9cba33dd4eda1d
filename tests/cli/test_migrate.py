"""`imgproxy migrate`."""

from __future__ import annotations

from pathlib import Path

from imgproxy.files.migrations import newest
from tests.cli.program import run


def test_migrate_makes_the_record_and_may_be_asked_again(tmp_path: Path) -> None:
    for _ in range(2):
        done = run("migrate", cwd=tmp_path, DATABASE="sqlite:///./new/record.db")
        assert (done.returncode, done.stdout) == (0, f"the record of files is at version {newest()}\n")
    assert (tmp_path / "new" / "record.db").exists()
