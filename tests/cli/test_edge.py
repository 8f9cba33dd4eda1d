"""Arguments of `imgproxy edge`, which only a supervisor starts; `tests.test_serve` tests what it serves."""

from __future__ import annotations

import pytest

from imgproxy.cli import parser
from imgproxy.serve import EdgeArguments


@pytest.mark.parametrize("listeners", [(4,), (4, 5, 17)])
def test_edge_reads_its_arguments_as_the_supervisor_writes_them(listeners: tuple[int, ...]) -> None:
    own = EdgeArguments(3, listeners, 1, 2)
    args = parser().parse_args(["edge", *own.as_list()])
    assert (args.run, args.demo) == ("edge:run", [])
    assert EdgeArguments(args.link, args.listeners, args.index, args.edges) == own


def test_edge_takes_keys_of_the_demo() -> None:
    arguments = [*EdgeArguments(3, (4,), 0, 2).as_list(), "--demo", "demo/a.jpg", "demo/b.png"]
    assert parser().parse_args(["edge", *arguments]).demo == ["demo/a.jpg", "demo/b.png"]


@pytest.mark.parametrize("missing", ["--link", "--listeners", "--index", "--edges"])
def test_edge_without_an_argument_is_an_error(capsys: pytest.CaptureFixture[str], missing: str) -> None:
    arguments = [each for each in EdgeArguments(3, (4,), 0, 2).as_list() if not each.startswith(missing)]
    with pytest.raises(SystemExit):
        parser().parse_args(["edge", *arguments])
    assert missing in capsys.readouterr().err


def test_edge_is_not_in_the_help() -> None:
    commands = {line.split()[0] for line in parser().format_help().splitlines() if line.startswith("    ")}
    assert ("serve" in commands, "edge" in commands) == (True, False)
