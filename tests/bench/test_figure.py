"""Rounds by turns, their medians and ratios, and what a row must reach."""

from __future__ import annotations

import pytest

from bench.figure import Aim, in_turn, medians, ratio


def test_every_other_round_goes_backwards_so_that_no_side_is_always_first() -> None:
    turns: list[str] = []
    sides = {name: lambda name=name: turns.append(name) or 1.0 for name in ("loop", "server")}  # type: ignore[misc]

    in_turn("order", sides, rounds=3)

    assert turns == ["loop", "server", "server", "loop", "loop", "server"]


def test_what_a_side_gave_is_kept_round_by_round() -> None:
    numbers = iter([1.0, 2.0, 3.0])

    assert in_turn("one", {"loop": lambda: next(numbers)}, rounds=3) == {"loop": [1.0, 2.0, 3.0]}


def test_a_ratio_is_of_runs_side_by_side_so_a_machine_that_slows_down_does_not_show() -> None:
    found = {"server": [90.0, 45.0, 9.0], "loop": [100.0, 50.0, 10.0]}

    assert ratio(found, "server", "loop") == 0.9


def test_what_is_told_is_the_middle_of_the_rounds() -> None:
    assert medians({"loop": [1.0, 100.0, 2.0]}) == {"loop": 2.0}


@pytest.mark.parametrize(
    ("aim", "met"),
    [
        (Aim("ratio", "≥", 0.92), True),
        (Aim("ratio", "≥", 0.93), False),
        (Aim("ratio", "≤", 0.92), True),
        (Aim("ratio", "≤", 0.91), False),
        (Aim("ratio", "=", 0.92), True),
        (Aim("ratio", "=", 1), False),
    ],
    ids=str,
)
def test_an_aim_is_met_at_its_limit_and_not_beyond(aim: Aim, met: bool) -> None:
    assert aim.is_met({"ratio": 0.92}) is met
