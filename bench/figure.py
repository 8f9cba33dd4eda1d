"""What a figure is: rows of numbers, each row with what it must reach.

Sides that are compared run in turn, round by round, so that a machine that slows down slows all of them, and
the ratio of a round is of two runs that lie beside each other. What is told is the median of the rounds.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Literal


class Missing(Exception):
    """Something to measure with is not there; one line says what, and how to get it."""


@dataclass(frozen=True, slots=True)
class Aim:
    """What a value of a row must be."""

    value: str
    relation: Literal["≥", "≤", "="]
    limit: float

    def __str__(self) -> str:
        return f"{self.value} {self.relation} {self.limit:g}"

    def is_met(self, values: Mapping[str, float]) -> bool:
        """Whether a row of these values reaches it."""
        found = values[self.value]
        if self.relation == "=":
            return found == self.limit
        return found >= self.limit if self.relation == "≥" else found <= self.limit


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a figure's table. Values are named with their unit."""

    name: str
    values: Mapping[str, float]
    aims: tuple[Aim, ...] = ()
    rounds: Mapping[str, list[float]] = field(default_factory=dict)
    """What each round gave, for whoever wants to know how far they lie apart."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side did in its turn."""

    answers: int
    seconds: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the bench: how thorough it is, and where its things lie."""

    quick: bool
    workers: int
    scratch: Path
    """For this run alone; nothing is kept."""
    peers: Mapping[str, str] = field(default_factory=dict)
    """Base URLs of servers that somebody else has started, by name."""

    def rounds(self, many: int) -> int:
        """How often each side has its turn."""
        return 2 if self.quick else many

    def seconds(self, long: float) -> float:
        """How long a turn takes."""
        return min(1.0, long) if self.quick else long

    def folder(self, name: str) -> Path:
        """A new folder."""
        made = self.scratch / name
        made.mkdir()
        return made


@dataclass(frozen=True, slots=True)
class Figure:
    """Something that can be measured; its file says what, in the docstring."""

    name: str
    subject: ModuleType

    @property
    def title(self) -> str:
        """The first sentence of what it measures."""
        return (self.subject.__doc__ or "").partition("\n")[0].rstrip(".")

    @property
    def text(self) -> str:
        """The rest of it, as paragraphs."""
        return (self.subject.__doc__ or "").partition("\n")[2].strip()

    def measure(self, run: Run) -> Iterator[Row]:
        """Measure row by row; raise `Missing`."""
        found: Iterator[Row] = self.subject.measure(run)
        return found


def say(text: str) -> None:
    """Tell a person who waits how far it is."""
    print(f"  {text}", file=sys.stderr, flush=True)


def in_turn(name: str, sides: Mapping[str, Callable[[], float]], *, rounds: int) -> dict[str, list[float]]:
    """What each side gives in each round; every other round goes backwards, so that none is always first."""
    found: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(rounds):
        order = list(sides)[:: -1 if number % 2 else 1]
        for side in order:
            found[side].append(sides[side]())
        told = ", ".join(f"{side} {values[-1]:.4g}" for side, values in found.items())
        say(f"{name}, round {number + 1} of {rounds}: {told}")
    return found


def ratio(found: Mapping[str, list[float]], one: str, other: str) -> float:
    """The median of the rounds' ratios of one side to another."""
    return statistics.median(a / b for a, b in zip(found[one], found[other], strict=True))


def medians(found: Mapping[str, list[float]]) -> dict[str, float]:
    """The middle of the rounds."""
    return {side: statistics.median(values) for side, values in found.items()}
