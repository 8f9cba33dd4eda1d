"""Signatures of URLs: who has a secret can say which pictures may be made.

The signature is base64url(HMAC(secret, text)), as thumbor and imagor write it. The text is everything in the
request target after `HASH/`, exactly as received and taken by position: what was normalised, or found by
searching, could differ from what was signed (thumbor 7.8.0 closed such a hole). In the query form it goes on
through the query: `key?w=300`.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass, field
from typing import Literal

from imgproxy.dialects.thumbor import MIN_HASH

Algorithm = Literal["sha256", "sha1", "sha512"]


@dataclass(frozen=True, slots=True)
class Signer:
    """The secrets of a deployment: the first signs, all verify, so that they can be changed."""

    secrets: tuple[str, ...] = field(default=(), repr=False)
    algorithm: Algorithm = "sha256"
    truncate: int = 0
    """Characters that are left of a signature; 0 leaves all."""

    def __post_init__(self) -> None:
        if not all(self.secrets):
            raise ValueError("an empty secret would let everybody sign")
        if self.truncate and self.truncate < MIN_HASH:
            raise ValueError(f"a signature needs {MIN_HASH} characters to be seen as one in a URL")

    def sign(self, path: str) -> str:
        """The signature of a path, or of a path and query, as it will stand in the URL after `HASH/`."""
        if not self.secrets:
            raise ValueError("there is no secret to sign with")
        return digest(self.secrets[0], path, algorithm=self.algorithm, truncate=self.truncate)

    def verify(self, signature: str, path: str) -> bool:
        """Whether any secret gives this signature; padding may be missing, for it carries nothing."""
        return self.canonical(signature, path) is not None

    def canonical(self, signature: str, path: str) -> str | None:
        """Return a signature as `sign` writes it, padding included; None if no secret gives it.

        It takes a time that tells neither which secret matches nor how nearly.
        """
        given = signature.rstrip("=").encode("ascii", "replace")
        matched = None
        for secret in self.secrets:
            expected = digest(secret, path, algorithm=self.algorithm, truncate=self.truncate)
            if hmac.compare_digest(expected.rstrip("=").encode(), given):
                matched = expected
        return matched


def digest(secret: str, path: str, *, algorithm: Algorithm, truncate: int = 0) -> str:
    """One signature by one secret."""
    text = path.encode("utf-8", "surrogateescape")  # the bytes that were received
    raw = hmac.digest(secret.encode("utf-8", "surrogateescape"), text, algorithm)
    signature = base64.urlsafe_b64encode(raw).decode()
    return signature[:truncate] if truncate else signature
