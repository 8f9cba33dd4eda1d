"""`python -m bench`: measure figures, print each as a table, and keep them as JSON or Markdown.

To add a figure: its file, with a docstring that says what it measures and a `measure` that yields rows, and
its line in the tuple.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import (
    api,
    border,
    costs,
    files,
    files_postgresql,
    front,
    herd,
    hits,
    latency,
    machine,
    memory,
    misses,
    originals,
    peers,
    report,
    sharpness,
    srcset,
    startup,
)
from bench.figure import Figure, Missing, Row, Run, say
from bench.pictures import kept
from bench.report import Result

FIGURES: tuple[Figure, ...] = (
    Figure("misses", misses),
    Figure("originals", originals),
    Figure("border", border),
    Figure("hits", hits),
    Figure("front", front),
    Figure("latency", latency),
    Figure("herd", herd),
    Figure("srcset", srcset),
    Figure("api", api),
    Figure("files", files),
    Figure("files-postgresql", files_postgresql),
    Figure("memory", memory),
    Figure("startup", startup),
    Figure("costs", costs),
    Figure("sharpness", sharpness),
    Figure("peers", peers),
)

_UNASKED = tuple(
    figure.name for figure in FIGURES if figure.name not in ("peers", "sharpness")
)  # these install


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if a figure was left out. That an aim was missed is a result, and no failure."""
    asked = _parser().parse_args(arguments)
    on = machine.describe()
    results = []
    with tempfile.TemporaryDirectory(dir=kept(), prefix="run-") as scratch:
        for figure in FIGURES:
            if figure.name in asked.figures or "all" in asked.figures:
                folder = Path(scratch) / figure.name
                folder.mkdir()
                run = Run(asked.quick, len(os.sched_getaffinity(0)), folder, dict(asked.peer))
                results.append(_measured(figure, run))
                print(report.markdown(results[-1], on), end="\n\n", flush=True)
                _keep(asked, results, on)
    return 1 if any(result.left_out for result in results) else 0


def _measured(figure: Figure, run: Run) -> Result:
    say(f"{figure.name}: {figure.title}")
    rows: list[Row] = []
    try:
        rows.extend(figure.measure(run))
    except (Missing, OSError, RuntimeError) as error:
        say(f"{figure.name} is left out: {error}")
        return Result(figure, rows, str(error))
    return Result(figure, rows)


def _keep(asked: argparse.Namespace, results: Sequence[Result], on: dict[str, str]) -> None:
    """Write what there is so far, so that a run that is stopped leaves what it has."""
    if asked.json:
        asked.json.write_text(report.as_json(results, on))
    if asked.markdown:
        report.write_markdown(asked.markdown, results, on)


def _parser() -> argparse.ArgumentParser:
    width = max(len(figure.name) for figure in FIGURES)
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure this imgproxy against what it is made of, in rounds by turns, on this machine.",
        epilog="figures:\n"
        + "\n".join(f"  {figure.name:{width}}  {figure.title}" for figure in FIGURES)
        + "\n\nAll but `peers` and `sharpness` are measured unless some are named; `all` are all."
        "\nProgress goes to standard error, tables go to standard output. A peer that you start"
        "\nyourself has to read the source images in"
        f"\n{peers.folder()}; it is one of {', '.join(peers.ADDRESSES)}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [*(figure.name for figure in FIGURES), "all"]
    parser.add_argument("figures", nargs="*", metavar="FIGURE", default=_UNASKED, type=_figure(names))
    parser.add_argument(
        "--quick", action="store_true", help="two short rounds: whether it runs, not how fast"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep everything, each round's numbers too")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="keep the tables, in place of the same figures there"
    )
    parser.add_argument(
        "--peer",
        type=_peer,
        action="append",
        default=[],
        metavar="NAME=URL",
        help="a server that runs already",
    )
    return parser


def _figure(names: Sequence[str]) -> Callable[[str], str]:
    def read(name: str) -> str:
        if name not in names:
            raise argparse.ArgumentTypeError(f"there is no figure '{name}'; there are {', '.join(names)}")
        return name

    return read


def _peer(text: str) -> tuple[str, str]:
    name, found, base = text.partition("=")
    if not found or name.partition("-")[0] not in peers.ADDRESSES or not base.startswith("http://"):
        known = ", ".join(peers.ADDRESSES)
        raise argparse.ArgumentTypeError(
            f"NAME=http://HOST:PORT is expected, NAME one of {known}; not '{text}'"
        )
    return name, base.rstrip("/")


sys.exit(main())
