"""`imgproxy doctor`; what it examines is in `tests/test_doctor.py`."""

from __future__ import annotations

from pathlib import Path

from tests.cli.program import run


def test_doctor_tells_what_a_sound_deployment_has(tmp_path: Path) -> None:
    (tmp_path / "data" / "objects").mkdir(parents=True)
    done = run("doctor", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "ok    sandbox      full" in done.stdout
    assert "reads jpeg png webp avif gif tiff svg" in done.stdout


def test_doctor_fails_for_a_storage_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("doctor", cwd=tmp_path, STORAGE="file://./file/objects")
    assert done.returncode == 1
    assert "FAIL  storage" in done.stdout
