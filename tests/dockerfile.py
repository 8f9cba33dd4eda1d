"""The Dockerfile as data: its stages, and their steps in order. What reads it also runs without an engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent


class Step(NamedTuple):
    """One instruction."""

    word: str
    text: str

    @property
    def command(self) -> list[str]:
        """The words of the form that no shell reads."""
        found = json.loads(self.text[self.text.index("[") :])
        assert all(isinstance(word, str) for word in found)
        return list(found)


def stages() -> dict[str, list[Step]]:
    """The steps by stage, FROM first; every stage has a name."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    found: dict[str, list[Step]] = {}
    for instruction in "\n".join(lines).replace("\\\n", " ").splitlines():
        if not instruction.strip():
            continue
        word, text = instruction.split(None, 1)
        if word == "FROM":
            _, _, name = text.partition(" AS ")
            assert name.isidentifier(), instruction
            current = found.setdefault(name, [])
        current.append(Step(word, " ".join(text.split())))
    return found


def texts(steps: list[Step], word: str) -> list[str]:
    """What follows each instruction of one kind."""
    return [step.text for step in steps if step.word == word]


def only(steps: list[Step], word: str) -> Step:
    """The one instruction of its kind."""
    (found,) = (each for each in steps if each.word == word)
    return found
