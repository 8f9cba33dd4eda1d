"""The commands, run as a person runs them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import pyvips

from imgproxy.dialects.signature import Signer
from imgproxy.files.migrations import newest
from tests.pictures import encoded, noise

ROOT = Path(__file__).parent.parent


def run(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    named = {f"IMGPROXY_{name}": value for name, value in environment.items()}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("IMGPROXY_")}
    return subprocess.run(
        [sys.executable, "-m", "imgproxy", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**clean, **named, "PYTHONPATH": str(ROOT)},
        timeout=60,
        check=False,
    )


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(encoded(noise(400, 300), ".jpg"))
    return path


def test_sign_prints_a_url_that_verifies(tmp_path: Path) -> None:
    done = run("sign", "/fit-in/300x200/photo.jpg", cwd=tmp_path, SIGNING_SECRETS="new,old")
    _, signature, path = done.stdout.strip().split("/", 2)
    assert path == "fit-in/300x200/photo.jpg"
    assert Signer(("new",)).verify(signature, path)


def test_sign_without_a_secret_says_what_is_missing(tmp_path: Path) -> None:
    done = run("sign", "photo.jpg", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "imgproxy: IMGPROXY_SIGNING_SECRETS holds no secret to sign with\n"


def test_transform_makes_the_picture_that_a_server_would(photo: Path, tmp_path: Path) -> None:
    output = tmp_path / "small.webp"
    path = "200x100/filters:format(webp):quality(60)/photo.jpg"
    done = run("transform", path, "--input", str(photo), "--output", str(output), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    made = pyvips.Image.new_from_file(str(output))
    assert (made.width, made.height, made.get("vips-loader")) == (200, 100, "webpload")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["photo.jpg", "small.webp"]


def test_transform_writes_facts_too(photo: Path, tmp_path: Path) -> None:
    output = tmp_path / "facts.json"
    run("transform", "meta/200x100/photo.jpg", "--input", str(photo), "--output", str(output), cwd=tmp_path)
    facts = json.loads(output.read_text())
    assert (facts["format"], facts["width"], facts["height"]) == ("jpeg", 200, 100)


@pytest.mark.parametrize(
    ("path", "original", "status", "says"),
    [
        ("filters:nope()/photo.jpg", "photo.jpg", 1, "'nope' is not a filter"),
        ("filters:watermark(logo.png,0,0)/photo.jpg", "photo.jpg", 2, "no storage here"),
        ("photo.jpg", "absent.jpg", 2, "there is no such file"),
        ("photo.jpg", "text.jpg", 1, "not of a type we read"),
    ],
)
def test_transform_says_in_one_line_what_is_wrong_and_writes_nothing(
    photo: Path, tmp_path: Path, path: str, original: str, status: int, says: str
) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    output = tmp_path / "out.jpg"
    done = run("transform", path, "--input", original, "--output", str(output), cwd=tmp_path)
    assert done.returncode == status
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert not output.exists()


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


def test_help_lists_every_command_and_setting(tmp_path: Path) -> None:
    done = run("--help", cwd=tmp_path)
    assert all(word in done.stdout for word in ("serve", "sign", "transform", "doctor", "IMGPROXY_STORAGE"))


def test_migrate_makes_the_record_and_may_be_asked_again(tmp_path: Path) -> None:
    for _ in range(2):
        done = run("migrate", cwd=tmp_path, DATABASE="sqlite:///./new/record.db")
        assert (done.returncode, done.stdout) == (0, f"the record of files is at version {newest()}\n")
    assert (tmp_path / "new" / "record.db").exists()
