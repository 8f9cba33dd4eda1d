"""Key of a cached result: also its ETag, so it changes whenever a byte of the response may.

Raise `RENDERING` when the pixels of an unchanged request change, and never otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NewType

ResultKey = NewType("ResultKey", str)

RENDERING = 2


@dataclass(frozen=True, slots=True)
class SourceVersion:
    """One source of a result."""

    name: str
    version: str


def result_key(
    sources: Sequence[SourceVersion], *, transform: str, output: str, answer: str, encoder: str
) -> ResultKey:
    """Return the hash of all that a result depends on, as 32 hex digits.

    `transform` and `output` are canonical texts, `encoder` names the encoder's settings and version.
    The length precedes each part, so no part can pass for two.
    """
    parts = [str(RENDERING), encoder, answer, transform, output]
    for source in sources:
        parts += [source.name, source.version]
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return ResultKey(sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32])
