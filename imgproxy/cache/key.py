"""The name under which a result is kept; it is also its ETag, so it must change whenever a byte may.

Raise `EPOCH` when the pixels of an unchanged request change, and never otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NewType

ResultKey = NewType("ResultKey", str)

EPOCH = 2


@dataclass(frozen=True, slots=True)
class SourceVersion:
    """One original that goes into a result."""

    name: str
    version: str


def result_key(
    ingredients: Sequence[SourceVersion], *, transform: str, output: str, answer: str, encoder: str
) -> ResultKey:
    """Name a result by everything it depends on; 32 hex digits.

    `transform` and `output` are canonical texts, `encoder` names the settings and the libvips that write.
    Each part is measured before it is joined, so no part can pretend to be two.
    """
    parts = [str(EPOCH), encoder, answer, transform, output]
    for ingredient in ingredients:
        parts += [ingredient.name, ingredient.version]
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return ResultKey(sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32])
