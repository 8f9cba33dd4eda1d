"""Which type a client is answered with: the URL's word, else its Accept header, else the source image's own.

Accept is read with q-values (RFC 9110 §12.5.1). A type is negotiated only when the header names it, never
because of a wildcard: browsers that cannot show AVIF send `image/*` too. Order among equals is ours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from imgproxy.image.formats import TRAITS, Format, family
from imgproxy.image.header import ImageHeader

_QUALITY = re.compile(r"[01](\.\d{0,3})?")


@dataclass(frozen=True, slots=True)
class Output:
    """The types a request may be answered with, best first; after them comes the source's own family."""

    candidates: tuple[Format, ...] = ()
    refused: tuple[Format, ...] = ()
    """Types the client expressly does not take (`q=0`)."""
    negotiated: bool = False
    """Whether Accept had a say, so that the answer carries `Vary`."""

    def canonical(self) -> str:
        """A short text for keys: few different Accept headers are left after negotiation."""
        return ",".join(self.candidates) + "".join(f"!{each}" for each in self.refused)


def negotiate(asked: Format | None, accept: str | None, *, automatic: Sequence[Format]) -> Output:
    """Decide what can be decided without the source image; `automatic` is our order of preference."""
    if asked is not None:
        return Output((asked,))
    if not automatic:
        return Output()
    wishes = _qualities(accept or "")
    floor = max(wishes.get("image/*", 0.0), wishes.get("*/*", 0.0))
    weights = {each: wishes.get(TRAITS[each].mime) for each in automatic}
    named = [each for each in automatic if (weight := weights[each]) and weight >= floor]
    ranked = sorted(named, key=lambda each: -(weights[each] or 0))
    refused = tuple(each for each in automatic if weights[each] == 0)
    return Output(tuple(ranked), refused, negotiated=True)


def choose(output: Output, facts: ImageHeader) -> Format:
    """The type to write, now that the source image is known: the first that loses neither frames nor alpha.

    A type that the URL names is written whatever it loses.
    """
    if not output.negotiated and output.candidates:
        return output.candidates[0]
    for candidate in output.candidates:
        if facts.pages > 1 and TRAITS[facts.format].animation and not TRAITS[candidate].animation:
            continue
        return candidate
    own = family(facts.format, alpha=facts.alpha)
    if own in output.refused:
        return Format.PNG if facts.alpha else Format.JPEG
    return own


def _qualities(accept: str) -> dict[str, float]:
    """Media range -> weight; what is not well-formed counts as not sent."""
    found: dict[str, float] = {}
    for part in accept[:2048].split(","):
        media, *parameters = (word.strip().lower() for word in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            name, _, value = (word.strip() for word in parameter.partition("="))
            if name == "q":
                weight = min(float(value), 1.0) if _QUALITY.fullmatch(value) else 0.0
        found[media] = weight
    return found
