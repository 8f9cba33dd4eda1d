"""Images of the demo: type, size and content, and the same bytes each time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgproxy.demo.drawing import DRAWINGS, draw
from imgproxy.engine import readers
from imgproxy.engine.readers.family import Opened
from imgproxy.image.filters.base import Image
from imgproxy.image.formats import Format

SIZES = {
    "demo/landscape.jpg": (Format.JPEG, 3000, 2000),
    "demo/portrait.jpg": (Format.JPEG, 2400, 1600),
    "demo/logo.png": (Format.PNG, 900, 900),
    "demo/loop.gif": (Format.GIF, 480, 300),
    "demo/rotated.jpg": (Format.JPEG, 1600, 1200),
    "demo/wide-gamut.jpg": (Format.JPEG, 1400, 1400),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every image, drawn once."""
    folder = tmp_path_factory.mktemp("drawn")
    draw(folder)
    return folder


@pytest.fixture
def opened(folder: Path, request: pytest.FixtureRequest) -> Iterator[Opened]:
    """The image whose key the test names, as the engine opens originals."""
    with (folder / request.param).open("rb") as file:
        yield readers.open_image(file.fileno())


def drawn_image(key: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("opened", [key], indirect=True)


def pixels(opened: Opened) -> Image:
    return opened.load(shrink=1, first=0, count=opened.facts.pages, sequential=False)


def test_every_drawing_is_looked_at_here() -> None:
    assert [drawing.key for drawing in DRAWINGS] == list(SIZES)


@pytest.mark.parametrize(("opened", "expected"), SIZES.items(), indirect=["opened"])
def test_type_and_size(opened: Opened, expected: tuple[Format, int, int]) -> None:
    facts = opened.facts
    assert (facts.format, facts.width, facts.height) == expected


@drawn_image("demo/logo.png")
def test_the_logo_is_see_through_at_its_corners_and_solid_at_its_heart(opened: Opened) -> None:
    image = pixels(opened)
    assert [image(0, 0)[3], image(450, 430)[3]] == [0, 255]


@drawn_image("demo/logo.png")
def test_the_logo_has_a_soft_shadow(opened: Opened) -> None:
    assert 0 < pixels(opened)(450, 830)[3] < 255


@drawn_image("demo/loop.gif")
def test_the_loop_moves_for_ever(opened: Opened) -> None:
    image = pixels(opened)
    assert (opened.facts.pages, image.get("loop"), image.get("delay")) == (16, 0, [110] * 16)


@drawn_image("demo/rotated.jpg")
def test_the_rotated_image_lies_and_says_so(opened: Opened) -> None:
    assert (opened.facts.orientation, opened.facts.upright) == (6, (1200, 1600))


@drawn_image("demo/rotated.jpg")
def test_the_rotated_image_has_its_sky_above_once_it_is_upright(opened: Opened) -> None:
    upright = pixels(opened).copy_memory().autorot()
    above, below = upright(600, 20), upright(600, 1580)
    assert above[2] > above[1] > above[0]
    assert below[1] > max(below[0], below[2])


@drawn_image("demo/wide-gamut.jpg")
def test_the_flower_has_colours_that_srgb_has_not(opened: Opened) -> None:
    """Expect a red below zero in a P3 green that was brought to linear sRGB without clipping."""
    green = pixels(opened).icc_import(embedded=True).colourspace("scrgb")(1110, 1110)
    assert green[0] < -0.1


@drawn_image("demo/portrait.jpg")
def test_the_subject_of_the_portrait_is_where_attention_goes_and_not_in_the_middle(opened: Opened) -> None:
    image = pixels(opened).copy_memory()
    smart, options = image.smartcrop(800, 1600, interesting="attention", attention_x=True)
    assert smart.width == 800
    assert 1500 < options["attention_x"] < 2200


def test_bytes_are_the_same_each_time(folder: Path, tmp_path: Path) -> None:
    drawn = draw(tmp_path)
    different = [
        path.name for path in drawn if path.read_bytes() != (folder / "demo" / path.name).read_bytes()
    ]
    assert different == []


def test_what_is_there_stays(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in draw(folder)}
    assert {path: path.stat().st_mtime_ns for path in draw(folder)} == before


def test_nothing_else_is_left_behind(folder: Path) -> None:
    assert sorted(path.name for path in (folder / "demo").iterdir()) == sorted(
        drawing.key.removeprefix("demo/") for drawing in DRAWINGS
    )


def test_it_runs_as_a_program_that_prints_where_they_lie(folder: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "imgproxy.demo", str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.split() == [str(folder / drawing.key) for drawing in DRAWINGS]


def test_the_program_needs_a_folder() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "imgproxy.demo"], capture_output=True, text=True, check=False
    )
    assert (answer.returncode, answer.stderr) == (1, "usage: python -m imgproxy.demo FOLDER\n")
