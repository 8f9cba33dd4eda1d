"""The kinds of arguments a filter can declare: each reads a word of the URL, or says what it expects.

A value has one text (`text`), so two spellings of one argument meet in one cache key. Lengths in output
pixels scale with `dpr`; nothing else does.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final
from urllib.parse import unquote

from imgproxy.errors import BadArgument
from imgproxy.image.colour import Colour, parse_colour


class _Required(Enum):
    TOKEN = 0


REQUIRED: Final = _Required.TOKEN


def split_arguments(text: str) -> list[str]:
    """Split at commas outside parentheses; empty middle arguments stay, one empty last one goes (imagor)."""
    parts, depth, begin = [], 0, 0
    for index, character in enumerate(text):
        if character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
        elif character == "," and depth == 0:
            parts.append(text[begin:index])
            begin = index + 1
    if text[begin:]:
        parts.append(text[begin:])
    return parts


def number_text(value: float) -> str:
    """The shortest text of a number: `80` for 80.0. Fewer digits would give two numbers one text."""
    return f"{value + 0.0:.15g}"  # the sum turns -0.0 into 0.0


@dataclass(frozen=True, slots=True)
class Argument(ABC):
    """One declared argument. Without a default it must be given."""

    name: str

    @property
    def default(self) -> Any:
        """The value of an argument that is left out, or `REQUIRED`."""
        return REQUIRED

    @abstractmethod
    def parse(self, text: str, what: str) -> Any:
        """Read one argument; raise `BadArgument` beginning with `what`."""

    def text(self, value: Any) -> str:
        """The one way to write a value."""
        return str(value)

    def scaled(self, value: Any, dpr: float) -> Any:  # noqa: ARG002  most values know no density
        """The value at `dpr` device pixels per CSS pixel."""
        return value


@dataclass(frozen=True, slots=True)
class Number(Argument):
    """A finite number within bounds, both inclusive."""

    low: float = -math.inf
    high: float = math.inf
    otherwise: Any = REQUIRED
    scales: bool = False
    """Whether it is a length in output pixels."""

    @property
    def default(self) -> Any:
        return self.otherwise

    def parse(self, text: str, what: str) -> float:
        try:
            value = float(text) if text.isascii() and "_" not in text else math.nan
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and self.low <= value <= self.high):
            raise BadArgument(f"{what}: {self._expected()}, not '{text}'")
        return value

    def _expected(self) -> str:
        return f"a number {_bounds(self.low, self.high)} is expected"

    def text(self, value: float) -> str:
        return number_text(value)

    def scaled(self, value: float, dpr: float) -> float:
        return min(value * dpr, self.high) if self.scales else value


@dataclass(frozen=True, slots=True)
class Integer(Number):
    """A whole number within bounds, both inclusive."""

    def parse(self, text: str, what: str) -> int:
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 15):
            raise BadArgument(f"{what}: {self._expected()}, not '{text}'")
        return int(Number.parse(self, text, what))

    def _expected(self) -> str:
        return f"a whole number {_bounds(self.low, self.high)} is expected"

    def scaled(self, value: float, dpr: float) -> int:
        return round(Number.scaled(self, value, dpr))


def _bounds(low: float, high: float) -> str:
    if math.isinf(low) and math.isinf(high):
        return "of any size"
    if math.isinf(high):
        return f"of at least {number_text(low)}"
    return f"from {number_text(low)} to {number_text(high)}"


@dataclass(frozen=True, slots=True)
class Word(Argument):
    """One of a few words."""

    words: tuple[str, ...] = ()
    otherwise: Any = REQUIRED

    @property
    def default(self) -> Any:
        return self.otherwise

    def parse(self, text: str, what: str) -> str:
        if text not in self.words:
            raise BadArgument(f"{what}: one of {', '.join(self.words)} is expected, not '{text}'")
        return text


@dataclass(frozen=True, slots=True)
class Text(Argument):
    """Any text of bounded length, percent-decoded."""

    longest: int = 255
    otherwise: Any = REQUIRED

    @property
    def default(self) -> Any:
        return self.otherwise

    def parse(self, text: str, what: str) -> str:
        decoded = unquote(text)
        if len(decoded) > self.longest:
            raise BadArgument(f"{what}: at most {self.longest} characters are expected")
        return decoded


@dataclass(frozen=True, slots=True)
class Paint(Argument):
    """A colour, or one of a few words that a filter gives a meaning."""

    words: tuple[str, ...] = ()
    otherwise: Any = REQUIRED

    @property
    def default(self) -> Any:
        return self.otherwise

    def parse(self, text: str, what: str) -> Colour | str:
        return text if text in self.words else parse_colour(unquote(text), what)


def parse_arguments(name: str, declared: Sequence[Argument], text: str) -> tuple[Any, ...]:
    """Read a filter's arguments; raise `BadArgument` naming the filter and the argument.

    An empty argument in the middle means its default, as in imagor.
    """
    given = split_arguments(text)
    if len(given) > len(declared):
        raise BadArgument(f"{name}: {_counted(len(declared))} expected, {len(given)} given")
    values = []
    for index, argument in enumerate(declared):
        word = given[index].strip() if index < len(given) else ""
        if word:
            values.append(argument.parse(word, f"{name}: {argument.name}"))
        elif argument.default is REQUIRED:
            raise BadArgument(f"{name}: the argument {argument.name} is missing")
        else:
            values.append(argument.default)
    return tuple(values)


def _counted(count: int) -> str:
    return {0: "no arguments are", 1: "one argument is"}.get(count, f"at most {count} arguments are")
