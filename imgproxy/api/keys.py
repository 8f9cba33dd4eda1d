"""API keys: whose tenant a request is for. The key itself is known to its holder; we keep its SHA-256.

`pk_` keys stand in web pages and name a tenant; `sk_` keys act for it. A hash without salt is enough for
256 random bits. What the record said of a key is believed for some seconds, that there is none too: a page's
requests do not each ask for it, and a revoked key ends within them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Literal, Protocol

from cachetools import TTLCache

from imgproxy.cache.singleflight import Singleflight
from imgproxy.errors import AuthenticationRequired, WrongCredential
from imgproxy.files.model import ApiKey

BELIEVED_SECONDS = 5.0
"""For how long a revoked key may go on."""

_KEY = re.compile(r"(pk|sk)_[0-9a-fA-F]{64}")
_ENTRIES = 16_384


class KeyRecord(Protocol):
    """Where keys are kept."""

    async def api_key(self, sha256: bytes) -> ApiKey | None:
        """The key of this hash, revoked and expired ones too; raise `Unavailable`."""


class Keys:
    """The keys of a deployment."""

    def __init__(self, record: KeyRecord, *, clock: Callable[[], int], timer: Callable[[], float]) -> None:
        """`clock` tells milliseconds since 1970, `timer` seconds that only go on."""
        self._record = record
        self._clock = clock
        self._known: TTLCache[bytes, ApiKey] = TTLCache(_ENTRIES, BELIEVED_SECONDS, timer)
        # a list of its own: whoever tries keys must not push out those that are good
        self._absent: TTLCache[bytes, bool] = TTLCache(_ENTRIES, BELIEVED_SECONDS, timer)
        self._flights: Singleflight[ApiKey | None] = Singleflight()

    async def find(self, text: str) -> ApiKey:
        """The key that a client shows; raise `AuthenticationRequired` if it is none, or no longer one."""
        if not _KEY.fullmatch(text):
            raise WrongCredential("X-API-Key: pk_ or sk_ and 64 hexadecimal digits are expected")
        key = await self._look(sha256_of(text))
        if key is None or key.revoked_at is not None or not text.startswith(key.kind):
            raise WrongCredential("X-API-Key: this key is not known, or revoked")
        if key.expires_at is not None and key.expires_at <= self._clock():
            raise AuthenticationRequired("X-API-Key: this key has expired")
        return key

    async def _look(self, sha256: bytes) -> ApiKey | None:
        known = self._known.get(sha256)
        if known is not None or sha256 in self._absent:
            return known
        key, _ = await self._flights.run(sha256, lambda: self._record.api_key(sha256))
        if key is None:
            self._absent[sha256] = True
        else:
            self._known[sha256] = key
        return key


def sha256_of(text: str) -> bytes:
    """What is kept of a key; its digits in either case are one key."""
    return hashlib.sha256(text.lower().encode()).digest()


def draw_key(kind: Literal["pk", "sk"], *, draw: Callable[[int], bytes]) -> str:
    """A new key, from 32 random bytes."""
    return f"{kind}_{draw(32).hex()}"
