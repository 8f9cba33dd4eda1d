"""Fingerprint of a request: equal for two requests that ask for the same."""

from __future__ import annotations

import hashlib


class Fingerprint:
    """Digest of method, target and body; a streamed body is added part by part while it is read."""

    def __init__(self, method: str, target: str, body: bytes = b"") -> None:
        self._sum = hashlib.sha256(b"\0".join((method.encode(), target.encode(), body)))

    def add(self, digest: bytes) -> None:
        """Add the digest of one part; all digests have one length, so no two lists of parts look alike."""
        self._sum.update(digest)

    def digest(self) -> bytes:
        """Return the digest of all that was read so far."""
        return self._sum.digest()
