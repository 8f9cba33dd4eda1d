"""A file of results gets a figure in place of the same one, and keeps all else."""

from __future__ import annotations

from pathlib import Path

from bench import herd
from bench.figure import Aim, Figure, Row
from bench.report import Result, markdown, write_markdown

MACHINE = {"date": "2026-01-01 00:00 UTC", "commit": "abc", "load at the start": "0.00"}
HERD = Figure("herd", herd)


def result(decodes: float) -> Result:
    return Result(HERD, [Row("1000 clients", {"decodes": decodes}, (Aim("decodes", "=", 1),))])


def test_a_figure_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("# Mine\n")

    for decodes in (7, 1):
        write_markdown(path, [result(decodes)], MACHINE)

    assert [line for line in path.read_text().splitlines() if line.startswith("| 1000")] == [
        "| 1000 clients | 1 | decodes = 1 ✓ |"
    ]


def test_what_a_person_wrote_around_the_figures_stays(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("before\n\n<!-- herd -->\nold\n<!-- /herd -->\n\nafter\n")

    write_markdown(path, [result(1)], MACHINE)

    text = path.read_text()
    assert (text.startswith("before\n\n<!-- herd -->\n### Herd"), "<!-- /herd -->\n\nafter\n" in text) == (
        True,
        True,
    )


def test_a_figure_that_was_left_out_does_not_take_the_place_of_one_that_was_measured(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    write_markdown(path, [result(1)], MACHINE)

    write_markdown(path, [Result(HERD, [], "wrk is not installed")], MACHINE)

    assert "| 1000 clients | 1 |" in path.read_text()


def test_a_missed_aim_is_told_aloud() -> None:
    assert "| 1000 clients | 2 | decodes = 1 **missed** |" in markdown(result(2), MACHINE).splitlines()


def test_a_figure_is_told_with_what_it_measures() -> None:
    assert markdown(result(1), MACHINE).startswith(f"### {HERD.title}\n\n{HERD.text}\n")
