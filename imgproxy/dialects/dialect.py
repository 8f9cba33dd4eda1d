"""One URL grammar: `parse` and `generate` are inverse, and all of it is pure.

To add one: its file, its line in `DIALECTS` of `__init__.py`, its test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from imgproxy.dialects.request import Params
from imgproxy.dialects.signature import Signer


def verify_hash(params: Params, signer: Signer) -> str | None:
    """Verify the signature in the first segment, as thumbor and imagor write it."""
    return signer.canonical(params.hash, params.path)


@dataclass(frozen=True, slots=True)
class Dialect:
    """The functions of one grammar. Targets have no origin (`https://host`) and stay percent-encoded."""

    name: str
    matches: Callable[[str], bool]
    """Return whether a target is in this grammar; the first dialect that matches parses it."""
    parse: Callable[[str], Params]
    """Parse a target; raise a `ClientError` of `imgproxy.errors` that says what is wrong."""
    generate: Callable[[Params], str]
    """Return a target, without its first slash, that `parse` reads as these params."""
    verify: Callable[[Params, Signer], str | None] = verify_hash
    """Return the signature as `Signer.sign` writes it, or None if no secret gives the one in the URL."""
