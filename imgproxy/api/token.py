"""Bearer tokens: which user asks. JSON Web Tokens (RFC 7519), verified as RFC 8725 advises.

The algorithm is chosen by the key and not by the token: HS256 goes with our secret and with nothing else, the
public keys of a set with the algorithms of their type. `exp` and `sub` must be there. What was verified is
remembered, for a signature may cost as much as the rest of a request; its times are read every time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import jwt
from cachetools import LRUCache

from imgproxy.api.jwks import PublicKey
from imgproxy.errors import AuthenticationRequired, WrongCredential

LEEWAY = 30
"""Seconds by which clocks may differ."""

_LONGEST = 4096
_REMEMBERED = 4096
_LONGEST_NAME = 255
_MOST_GROUPS = 100
_LAST_SECOND = 10**12


class PublicKeys(Protocol):
    """The keys of whoever issues tokens."""

    @property
    def generation(self) -> int:
        """Goes up whenever they change."""

    async def find(self, name: str | None) -> PublicKey:
        """The key of this name; raise `AuthenticationRequired` or `Unavailable`."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Which tokens are believed."""

    secret: str = field(default="", repr=False)
    issuer: str = ""
    audience: str = ""
    tenant_claim: str = "tenant"
    """A claim's name, or the way to one: `org.id`."""
    require_tenant: bool = True
    """Whether a token must name its tenant even beside a publishable key, which anybody can read."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says that was verified."""

    user: str
    expires: float
    """Seconds since 1970."""
    tenant: str | None = None
    role: str = ""
    groups: frozenset[str] = frozenset()
    not_before: float = 0.0


class Tokens:
    """Reads tokens."""

    def __init__(self, trust: Trust, keys: PublicKeys | None = None, *, clock: Callable[[], float]) -> None:
        """`clock` tells seconds since 1970."""
        self.trust = trust
        self._keys = keys
        self._clock = clock
        self._remembered: LRUCache[str, tuple[int, Claims]] = LRUCache(_REMEMBERED)

    async def read(self, token: str) -> Claims:
        """What a token says; raise `AuthenticationRequired`, or `Unavailable` when keys cannot be had."""
        generation = self._keys.generation if self._keys else 0
        known = self._remembered.get(token)
        if known is not None and known[0] == generation:
            return self._in_time(known[1])
        claims = self._in_time(self._claims(await self._verified(token)))
        self._remembered[token] = (self._keys.generation if self._keys else 0, claims)
        return claims

    async def _verified(self, token: str) -> Mapping[str, Any]:
        if len(token) > _LONGEST:
            raise _refused("it is too long")
        try:
            header = jwt.get_unverified_header(token)
            key, algorithms = await self._key(header)
            return jwt.decode(
                token,
                key,
                algorithms=algorithms,
                issuer=self.trust.issuer or None,
                audience=self.trust.audience or None,
                options={
                    "require": ["exp", "sub"],
                    "verify_aud": bool(self.trust.audience),
                    "verify_iss": bool(self.trust.issuer),
                    "verify_exp": False,  # times are read by our clock, now and whenever it comes again
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.MissingRequiredClaimError as error:
            raise _refused(f"it has no '{error.claim}'") from None
        except jwt.InvalidIssuerError:
            raise _refused("it is of another issuer") from None
        except jwt.InvalidAudienceError:
            raise _refused("it is for another audience") from None
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise _refused("its signature or form is wrong") from None

    async def _key(self, header: Mapping[str, Any]) -> tuple[Any, list[str]]:
        if header.get("alg") == "HS256" and self.trust.secret:
            return self.trust.secret, ["HS256"]
        if self._keys is None or str(header.get("alg", "")).upper().startswith(("HS", "NONE")):
            raise _refused("its algorithm is not used here")
        name = header.get("kid")
        found = await self._keys.find(name if isinstance(name, str) else None)
        return found.key, list(found.algorithms)

    def _in_time(self, claims: Claims) -> Claims:
        now = self._clock()
        if claims.expires + LEEWAY <= now:
            raise AuthenticationRequired("the token has expired")
        if claims.not_before - LEEWAY > now:
            raise AuthenticationRequired("the token is not accepted: it does not hold yet")
        return claims

    def _claims(self, payload: Mapping[str, Any]) -> Claims:
        tenant = _at(payload, self.trust.tenant_claim)
        return Claims(
            user=_name(payload["sub"], "sub"),
            expires=_seconds(payload["exp"], "exp"),
            tenant=None if tenant is None else _name(tenant, self.trust.tenant_claim),
            role=_name(payload["role"], "role") if payload.get("role") else "",
            groups=_groups(payload.get("groups")),
            not_before=_seconds(payload.get("nbf", 0), "nbf"),
        )


def _refused(reason: str) -> WrongCredential:
    return WrongCredential(f"the token is not accepted: {reason}")


def _at(payload: Mapping[str, Any], claim: str) -> Any:
    """A claim by its name, which may hold dots and slashes itself, or by the way to it."""
    if claim in payload:
        return payload[claim]
    found: Any = payload
    for step in claim.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def _name(value: Any, claim: str) -> str:
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= _LONGEST_NAME:
        raise _refused(f"its '{claim}' is no name")
    return value


def _seconds(value: Any, claim: str) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not -_LAST_SECOND <= value <= _LAST_SECOND:  # neither NaN nor 10**400 is within
        raise _refused(f"its '{claim}' is no time")
    return float(value)


def _groups(value: Any) -> frozenset[str]:
    if value is None:
        return frozenset()
    if not isinstance(value, list) or len(value) > _MOST_GROUPS:
        raise _refused(f"its 'groups' is no list of at most {_MOST_GROUPS} names")
    return frozenset(_name(each, "groups") for each in value)


def issue(
    trust: Trust,
    *,
    user: str,
    now: int,
    seconds: int,
    tenant: str | None = None,
    role: str | None = None,
    groups: tuple[str, ...] = (),
) -> str:
    """A token signed by our secret, for development; a claim's way is written as its name."""
    payload: dict[str, Any] = {"sub": user, "iat": now, "exp": now + seconds}
    optional = {
        "iss": trust.issuer,
        "aud": trust.audience,
        trust.tenant_claim: tenant,
        "role": role,
        "groups": list(groups),
    }
    payload.update({name: value for name, value in optional.items() if value})
    return jwt.encode(payload, trust.secret, algorithm="HS256")
