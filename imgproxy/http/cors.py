"""Which pages may call us (the Fetch Standard's CORS protocol, https://fetch.spec.whatwg.org/#http-cors-protocol).

Credentials are headers that a page must hold itself, never cookies, so `*` gives nothing away.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

ASKED_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "X-API-Key",
    "X-Request-Id",
)
TOLD_HEADERS = (
    "ETag",
    "Idempotency-Replayed",
    "Location",
    "Retry-After",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-Request-Id",
)
_PREFLIGHT_SECONDS = 7200  # what Chromium keeps at most


class Cors:
    """The origins that may."""

    def __init__(self, origins: Collection[str]) -> None:
        """Origins such as https://app.example; `*` is any."""
        self._origins = frozenset(origins)

    def headers(self, origin: str | None) -> Mapping[str, str]:
        """What an answer says to a page of this origin."""
        allowed = self._allowed(origin)
        vary = {} if "*" in self._origins else {"Vary": "Origin"}
        if allowed is None:
            return vary
        return {
            "Access-Control-Allow-Origin": allowed,
            "Access-Control-Expose-Headers": ", ".join(TOLD_HEADERS),
            **vary,
        }

    def preflight(self, origin: str | None, methods: Collection[str]) -> Mapping[str, str]:
        """What the answer to a page's question says, before it sends what is no simple request."""
        allowed = self.headers(origin)
        if "Access-Control-Allow-Origin" not in allowed:
            return allowed
        return {
            **allowed,
            "Access-Control-Allow-Methods": ", ".join(sorted(methods)),
            "Access-Control-Allow-Headers": ", ".join(ASKED_HEADERS),
            "Access-Control-Max-Age": str(_PREFLIGHT_SECONDS),
        }

    def _allowed(self, origin: str | None) -> str | None:
        if "*" in self._origins:
            return "*"
        return origin if origin in self._origins else None
