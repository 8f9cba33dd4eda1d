"""The public keys of whoever issues tokens (RFC 7517): fetched when needed, kept while they hold.

A key says which algorithms it may be used with, by its type and never by the token's header, which whoever
forges a token writes. Secrets in a key set are ignored: what everybody can read proves nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout
from jwt.algorithms import Algorithm, ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import PyJWTError

from imgproxy.cache.singleflight import Singleflight
from imgproxy.errors import Unavailable, WrongCredential

_log = logging.getLogger(__name__)

_FRESH_SECONDS = 600.0
_STALE_SECONDS = 24 * 3600.0  # an issuer that is down must not sign everybody out at once
_RETRY_SECONDS = 30.0  # between fetches for keys we do not know: tokens with made-up names cost nothing
_FETCH_SECONDS = 5.0
_MOST_BYTES = 256 * 1024
_MOST_KEYS = 64
_LEAST_RSA_BITS = 2048  # NIST SP 800-131A

_KINDS: dict[tuple[str, str | None], tuple[type[Algorithm], tuple[str, ...]]] = {
    ("RSA", None): (RSAAlgorithm, ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
    ("EC", "P-256"): (ECAlgorithm, ("ES256",)),
    ("EC", "P-384"): (ECAlgorithm, ("ES384",)),
    ("EC", "P-521"): (ECAlgorithm, ("ES512",)),
    ("OKP", "Ed25519"): (OKPAlgorithm, ("EdDSA",)),
}
"""By type and curve: what reads the key, and what it may be used with (RFC 7518 §3, RFC 8037 §3.1)."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key, and what it may be used with."""

    key: Any
    algorithms: tuple[str, ...]


class KeySet:
    """The keys at one URL."""

    def __init__(self, fetch: Callable[[], Awaitable[bytes]], *, timer: Callable[[], float]) -> None:
        """`fetch` gives the document or raises `Unavailable`; `timer` tells seconds that only go on."""
        self._fetch = fetch
        self._timer = timer
        self._keys: dict[str, PublicKey] = {}
        self._fetched: float | None = None
        self._tried: float | None = None
        self._flights: Singleflight[None] = Singleflight()
        self._behind: asyncio.Task[None] | None = None
        self.generation = 0
        """Goes up whenever the keys change."""

    async def find(self, name: str | None) -> PublicKey:
        """The key of this `kid`, or the only one; raise `AuthenticationRequired` or `Unavailable`."""
        if self._fetched is None or self._age() > _STALE_SECONDS:
            await self._refresh()
        elif self._age() > _FRESH_SECONDS and self._may_try():
            self._refresh_behind()
        found = self._named(name)
        if found is None and self._may_try():
            await self._refresh()
            found = self._named(name)
        if found is None:
            raise WrongCredential("the token is signed by a key that is not known here")
        return found

    async def close(self) -> None:
        """Give up what is under way."""
        if self._behind is not None:
            self._behind.cancel()
            await asyncio.gather(self._behind, return_exceptions=True)

    def _named(self, name: str | None) -> PublicKey | None:
        if name is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(name)

    def _age(self) -> float:
        return self._timer() - (self._fetched or 0.0)

    def _may_try(self) -> bool:
        return self._tried is None or self._timer() - self._tried >= _RETRY_SECONDS

    def _refresh_behind(self) -> None:
        """Ask anew while the old keys serve."""
        if self._behind is None or self._behind.done():
            self._behind = asyncio.create_task(self._refresh_quietly())

    async def _refresh_quietly(self) -> None:
        try:
            await self._refresh()
        except Unavailable as error:
            _log.warning("the keys of tokens could not be fetched anew: %s", error)

    async def _refresh(self) -> None:
        """Fetch the keys, once for all who wait."""
        await self._flights.run("", self._refresh_once)

    async def _refresh_once(self) -> None:
        self._tried = self._timer()
        keys = parse(await self._fetch())
        self.generation += 1
        self._keys, self._fetched = keys, self._timer()


def parse(raw: bytes) -> dict[str, PublicKey]:
    """The keys of a document that can verify a token, by their names; raise `Unavailable` if it is none."""
    try:
        listed = json.loads(raw)["keys"]
        offered = [each for each in listed if isinstance(each, dict)]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Unavailable("the keys of tokens cannot be read") from None
    found = {str(each.get("kid", "")): _usable(each) for each in offered[:_MOST_KEYS]}
    return {name: key for name, key in found.items() if key is not None}


def _usable(jwk: Mapping[str, Any]) -> PublicKey | None:
    kind = _KINDS.get((str(jwk.get("kty")), jwk.get("crv")))
    if kind is None or "d" in jwk or jwk.get("use", "sig") != "sig":
        return None
    reader, algorithms = kind
    if "alg" in jwk:
        algorithms = tuple(name for name in algorithms if name == jwk["alg"])
    try:
        key = reader.from_jwk(dict(jwk))
    except (PyJWTError, ValueError, TypeError):
        return None
    if reader is RSAAlgorithm and key.key_size < _LEAST_RSA_BITS:
        return None
    return PublicKey(key, algorithms) if algorithms else None


class Download:
    """Fetches one document over HTTP, bounded in seconds and bytes; follows no redirect."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session: ClientSession | None = None

    async def __call__(self) -> bytes:
        """The document's bytes; raise `Unavailable`."""
        if self._session is None:
            self._session = ClientSession(timeout=ClientTimeout(total=_FETCH_SECONDS))
        try:
            async with self._session.get(self._url, allow_redirects=False) as response:
                raw = await response.content.read(_MOST_BYTES + 1)
                while raw and not response.content.at_eof() and len(raw) <= _MOST_BYTES:
                    raw += await response.content.read(_MOST_BYTES + 1)
        except (ClientError, TimeoutError, OSError) as error:
            raise Unavailable("the issuer of tokens does not answer", retry_after=5) from error
        if response.status != 200 or len(raw) > _MOST_BYTES:
            raise Unavailable("the issuer of tokens gives no keys", retry_after=5)
        return raw

    async def close(self) -> None:
        """Let the connection go."""
        if self._session is not None:
            await self._session.close()
