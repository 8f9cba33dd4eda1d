"""What was measured, as JSON and as Markdown.

A Markdown file that has a figure already, between its two marks, gets the new one in its place; all else in
the file stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.figure import Figure, Row


@dataclass(frozen=True, slots=True)
class Result:
    """A figure that was measured, or why it was not."""

    figure: Figure
    rows: Sequence[Row]
    left_out: str = ""


def as_json(results: Sequence[Result], machine: Mapping[str, str]) -> str:
    """Everything, with what each round gave."""
    figures = {
        result.figure.name: {
            "title": result.figure.title,
            "rows": [_row(row) for row in result.rows],
            **({"left out": result.left_out} if result.left_out else {}),
        }
        for result in results
    }
    return json.dumps({"machine": machine, "figures": figures}, indent=1, ensure_ascii=False)


def _row(row: Row) -> dict[str, object]:
    aims = {str(aim): aim.is_met(row.values) for aim in row.aims}
    return {**asdict(row), "aims": aims}


def write_markdown(path: Path, results: Sequence[Result], machine: Mapping[str, str]) -> None:
    """Put the figures into a file, in place of what it had of them."""
    text = path.read_text() if path.exists() else "# Measurements\n"
    sections = {"machine": _machine(machine)}
    sections |= {result.figure.name: markdown(result, machine) for result in results if not result.left_out}
    for name, section in sections.items():
        text = _replaced(text, name, section)
    path.write_text(text)


def _replaced(text: str, name: str, section: str) -> str:
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    marked = f"{begin}\n{section}\n{end}"
    before, found, rest = text.partition(begin)
    if not found:
        return f"{text.rstrip()}\n\n{marked}\n"
    return before + marked + rest.partition(end)[2]


def markdown(result: Result, machine: Mapping[str, str]) -> str:
    """One figure: what it measures, a table, and when it was."""
    head = f"### {result.figure.title}\n\n{result.figure.text}\n"
    if result.left_out:
        return f"{head}\nLeft out: {result.left_out}"
    when = (
        f"`{result.figure.name}`, {machine['date']}, {machine['commit']}, load {machine['load at the start']}"
    )
    return "\n".join([head, *_table(result.rows), "", when])


def _table(rows: Sequence[Row]) -> Iterator[str]:
    columns = list(dict.fromkeys(name for row in rows for name in row.values))
    yield _line(["", *columns, "aim"])
    yield _line(["---", *("---:" for _ in columns), "---"])
    for row in rows:
        cells = [_number(row.values[name]) if name in row.values else "–" for name in columns]
        yield _line([row.name, *cells, _aims(row)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float) -> str:
    if value == int(value) or value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 1 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _aims(row: Row) -> str:
    return "; ".join(f"{aim} {'✓' if aim.is_met(row.values) else '**missed**'}" for aim in row.aims)


def _machine(machine: Mapping[str, str]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in machine.items())])
