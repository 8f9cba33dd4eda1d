"""Authentication: from a request's credentials to a principal.

| X-API-Key | Authorization | principal |
|---|---|---|
| `pk_…` | | nobody in particular, of the key's tenant |
| `pk_…` | `Bearer` with a tenant | the token's user, of the key's tenant |
| `sk_…` | | the tenant itself |
| `sk_…` | `Bearer` | the token's user: a backend that passes a user on is given no more than the user |
| | `Bearer` with a tenant | the token's user, of the token's tenant |

A token that names another tenant than the key's is refused (403). One that names none beside a publishable
key is refused as well (401), unless `IMGPROXY_JWT_REQUIRE_TENANT` is off: such a key stands in a page, and
with it a user of any tenant would be one of that tenant's. A secret key is the tenant's own word.

Every credential that is shown must hold: a bad one is 401, never somebody of lesser rights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from imgproxy.api.keys import Keys
from imgproxy.api.token import Claims, Tokens
from imgproxy.errors import AccessDenied, AuthenticationRequired
from imgproxy.files.model import ApiKey, TenantId
from imgproxy.files.principal import Kind, Principal

KEY_HEADER = "X-API-Key"


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal, and the key it came by."""

    principal: Principal
    key_id: str = ""

    @property
    def name(self) -> str:
        """Return the name under which requests are counted."""
        return f"{self.principal.tenant}\n{self.key_id}\n{self.principal.name}"


class Authenticator:
    """Knows callers by their credentials."""

    def __init__(self, keys: Keys, tokens: Tokens) -> None:
        self._keys = keys
        self._tokens = tokens

    async def identify(self, headers: Mapping[str, str]) -> Caller:
        """Return the caller; raise `AuthenticationRequired`, `AccessDenied`, or `Unavailable`."""
        shown = headers.get(KEY_HEADER)
        token = bearer(headers)
        if shown is None and token is None:
            raise AuthenticationRequired(f"{KEY_HEADER} or Authorization: Bearer … is needed")
        key = await self._keys.find(shown.strip()) if shown is not None else None
        claims = await self._tokens.read(token) if token is not None else None
        if claims is not None and claims.tenant is None and not self._may_lack_tenant(key):
            claim = self._tokens.trust.tenant_claim
            raise AuthenticationRequired(
                f"token: must name its tenant in the claim '{claim}' (IMGPROXY_JWT_TENANT_CLAIM), got none"
            )
        return Caller(_principal(key, claims), key.id if key else "")

    def _may_lack_tenant(self, key: ApiKey | None) -> bool:
        """Return whether a token beside this key may lack a tenant."""
        if key is None:
            return False
        return key.kind == "sk" or not self._tokens.trust.require_tenant


def bearer(headers: Mapping[str, str]) -> str | None:
    """The token of a request; raise `AuthenticationRequired` for credentials of another kind."""
    given = headers.get("Authorization")
    if given is None:
        return None
    scheme, _, token = given.strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise AuthenticationRequired("Authorization: Bearer and a token are expected")
    return token.strip()


def _principal(key: ApiKey | None, claims: Claims | None) -> Principal:
    if claims is None:
        assert key is not None  # noqa: S101  one of the two was shown
        return Principal(key.tenant, Kind.SERVICE if key.kind == "sk" else Kind.ANONYMOUS)
    return Principal(
        _tenant(key, claims), Kind.USER, user=claims.user, role=claims.role, groups=claims.groups
    )


def _tenant(key: ApiKey | None, claims: Claims) -> TenantId:
    if key is None:
        assert claims.tenant is not None  # noqa: S101  or the token was refused
        return TenantId(claims.tenant)
    if claims.tenant is not None and claims.tenant != key.tenant:
        raise AccessDenied("the token is of another tenant than the key")
    return key.tenant


def require(caller: Caller, needs: Kind) -> None:
    """Let pass who may call an endpoint; else raise `AuthenticationRequired` or `AccessDenied`."""
    kind = caller.principal.kind
    if needs is Kind.SERVICE and kind is not Kind.SERVICE:
        raise AccessDenied("a secret key is needed for this")
    if needs is Kind.USER and kind is Kind.ANONYMOUS:
        raise AuthenticationRequired("a user's token is needed for this: Authorization: Bearer …")
