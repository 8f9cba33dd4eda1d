"""Header fields of responses that several endpoints share."""

from __future__ import annotations

SERVER = {"Server": "imgproxy"}
"""Without a version, so that no list of vulnerable ones can be made."""

SANDBOX = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
"""Of images and files: nothing of them runs, and any page may show them."""

IMAGE_HEADERS = {
    **SANDBOX,
    "Access-Control-Allow-Origin": "*",
    "Timing-Allow-Origin": "*",
    **SERVER,
}

API_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    **SERVER,
}


def names_etag(header: str | None, etag: str) -> bool:
    """Return whether `If-None-Match` names an ETag, by the weak comparison (RFC 9110 §13.1.2)."""
    if header is None:
        return False
    return any(name.strip().removeprefix("W/") in ("*", etag) for name in header.split(","))
