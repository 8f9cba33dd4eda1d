"""The type of a response: by the URL, else by the Accept header, else the source image's own.

Accept is read with q-values (RFC 9110 §12.5.1). A type is negotiated only when the header names it, never
because of a wildcard: browsers that cannot show AVIF send `image/*` too. Equal weights keep the
deployment's order.
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
    """The possible types of a response, best first; after them comes the source image's own."""

    candidates: tuple[Format, ...] = ()
    refused: tuple[Format, ...] = ()
    """Types that the client refuses (`q=0`)."""
    negotiated: bool = False
    """Whether Accept was considered, so that the response has `Vary`."""

    def canonical(self) -> str:
        """Return a short text for cache keys: few different Accept headers are left after negotiation."""
        return ",".join(self.candidates) + "".join(f"!{each}" for each in self.refused)


def negotiate(requested: Format | None, accept: str | None, *, automatic: Sequence[Format]) -> Output:
    """Return the possible types before the source image is known; `automatic` is the order of preference."""
    if requested is not None:
        return Output((requested,))
    if not automatic:
        return Output()
    weights_sent = _qualities(accept or "")
    floor = max(weights_sent.get("image/*", 0.0), weights_sent.get("*/*", 0.0))
    weights = {each: weights_sent.get(TRAITS[each].mime) for each in automatic}
    named = [each for each in automatic if (weight := weights[each]) and weight >= floor]
    ranked = sorted(named, key=lambda each: -(weights[each] or 0))
    refused = tuple(each for each in automatic if weights[each] == 0)
    return Output(tuple(ranked), refused, negotiated=True)


def choose(output: Output, facts: ImageHeader) -> Format:
    """Return the type to write: the first that loses neither frames nor alpha.

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
    """Return the weight of each media range; malformed ones count as absent."""
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
