"""Signatures of URLs: only holders of a secret can request new images.

The signature is base64url(HMAC(secret, text)), as thumbor and imagor write it. The text is everything in the
request target after `HASH/`, exactly as received and taken by position: normalised text, or text found by
searching, could differ from the signed one (thumbor 7.8.0 closed such a hole). In the query form it goes on
through the query: `key?w=300`.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass, field
from typing import Literal

MIN_HASH = 17
"""Characters; any first segment that long of the base64url alphabet is taken for a signature."""

Algorithm = Literal["sha256", "sha1", "sha512"]


@dataclass(frozen=True, slots=True)
class Signer:
    """The secrets of a deployment: the first signs, all verify, so that they can be rotated."""

    secrets: tuple[str, ...] = field(default=(), repr=False)
    algorithm: Algorithm = "sha256"
    truncate: int = 0
    """Length to which signatures are cut; 0 keeps all characters."""

    def __post_init__(self) -> None:
        if not all(self.secrets):
            raise ValueError("an empty secret would let everybody sign")
        if self.truncate and self.truncate < MIN_HASH:
            raise ValueError(f"a signature needs {MIN_HASH} characters to be seen as one in a URL")

    def sign(self, path: str) -> str:
        """Return the signature of a path, or of a path and query, as it stands in the URL after `HASH/`."""
        if not self.secrets:
            raise ValueError("there is no secret to sign with")
        return digest(self.secrets[0], path, algorithm=self.algorithm, truncate=self.truncate)

    def verify(self, signature: str, path: str) -> bool:
        """Return whether any secret gives this signature; padding may be missing."""
        return self.canonical(signature, path) is not None

    def canonical(self, signature: str, path: str) -> str | None:
        """Return a signature as `sign` writes it, padding included; None if no secret gives it.

        The time it takes depends neither on the matching secret nor on the number of equal characters.
        """
        received = signature.rstrip("=").encode("ascii", "replace")
        matched = None
        for secret in self.secrets:
            expected = digest(secret, path, algorithm=self.algorithm, truncate=self.truncate)
            if hmac.compare_digest(expected.rstrip("=").encode(), received):
                matched = expected
        return matched


def digest(secret: str, path: str, *, algorithm: Algorithm, truncate: int = 0) -> str:
    """Return one signature by one secret."""
    text = path.encode("utf-8", "surrogateescape")  # the bytes that were received
    raw = hmac.digest(secret.encode("utf-8", "surrogateescape"), text, algorithm)
    signature = base64.urlsafe_b64encode(raw).decode()
    return signature[:truncate] if truncate else signature
