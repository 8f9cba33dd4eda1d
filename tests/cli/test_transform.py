"""`imgproxy transform`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import pyvips

from tests.cli.program import run
from tests.pictures import encoded, noise


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(encoded(noise(400, 300), ".jpg"))
    return path


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
        ("filters:nope()/photo.jpg", "photo.jpg", 2, "'nope' is not a filter"),
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


@pytest.mark.parametrize(("policy", "status"), [("show", 0), ("refuse", 1)])
def test_transform_of_a_cut_off_image_follows_the_setting_as_a_server_does(
    photo: Path, tmp_path: Path, policy: str, status: int
) -> None:
    whole = photo.read_bytes()
    photo.write_bytes(whole[: len(whole) // 2])
    output = tmp_path / "small.jpg"
    arguments = ("transform", "200x/photo.jpg", "--input", str(photo), "--output", str(output))
    done = run(*arguments, cwd=tmp_path, DAMAGED=policy)
    assert (done.returncode, output.exists()) == (status, status == 0)
