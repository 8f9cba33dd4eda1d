"""`imgproxy edge`, which nobody but a parent calls; what it serves is promised in `tests.test_serve`."""

from __future__ import annotations

import pytest

from imgproxy.cli import parser
from imgproxy.serve import Seat


@pytest.mark.parametrize("listeners", [(4,), (4, 5, 17)])
def test_an_edge_is_told_its_seat_as_its_parent_says_it(listeners: tuple[int, ...]) -> None:
    seat = Seat(3, listeners, 2)
    asked = parser().parse_args(["edge", *seat.arguments()])
    assert (asked.run, asked.demo) == ("edge:run", [])
    assert Seat(asked.channel, asked.listeners, asked.edges) == seat


def test_the_demo_s_keys_come_along() -> None:
    arguments = [*Seat(3, (4,), 2).arguments(), "--demo", "demo/a.jpg", "demo/b.png"]
    assert parser().parse_args(["edge", *arguments]).demo == ["demo/a.jpg", "demo/b.png"]


@pytest.mark.parametrize("missing", ["--channel", "--listeners", "--edges"])
def test_without_a_seat_there_is_no_edge(capsys: pytest.CaptureFixture[str], missing: str) -> None:
    given = [each for each in Seat(3, (4,), 2).arguments() if not each.startswith(missing)]
    with pytest.raises(SystemExit):
        parser().parse_args(["edge", *given])
    assert missing in capsys.readouterr().err


def test_nobody_is_told_of_it() -> None:
    told = {line.split()[0] for line in parser().format_help().splitlines() if line.startswith("    ")}
    assert ("serve" in told, "edge" in told) == (True, False)
