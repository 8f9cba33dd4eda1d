"""Metrics of several processes as one text for Prometheus: each edge's samples get a label with its number.

The text format wants all samples of a family in one group under one head (Prometheus, exposition formats).
Texts are joined as they are, line by line: to read and write them anew would take milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Family:
    head: list[str] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)


def join(own: bytes, edges: Mapping[str, bytes]) -> bytes:
    """The parent's own metrics as they are, and each edge's with `edge="…"`."""
    families: dict[str, _Family] = {}
    for edge, text in {"": own, **edges}.items():
        for name, family in _families(text.decode()):
            known = families.setdefault(name, _Family(family.head))
            known.samples += (
                [_labelled(sample, edge) for sample in family.samples] if edge else family.samples
            )
    lines = [line for family in families.values() for line in (*family.head, *family.samples)]
    return "".join(f"{line}\n" for line in lines).encode()


def _families(text: str) -> Iterator[tuple[str, _Family]]:
    """Each begins with its `# HELP`."""
    name, family = "", _Family()
    for line in text.splitlines():
        if line.startswith("# HELP "):
            if family.head:
                yield name, family
            name, family = line.split(" ", 3)[2], _Family()
        (family.head if line.startswith("#") else family.samples).append(line)
    if family.head:
        yield name, family


def _labelled(sample: str, edge: str) -> str:
    label = f'edge="{edge}"'
    braces, spaces = sample.find("{"), sample.find(" ")
    if 0 <= braces < spaces:
        return f"{sample[: braces + 1]}{label},{sample[braces + 1 :]}"
    return f"{sample[:spaces]}{{{label}}}{sample[spaces:]}"
