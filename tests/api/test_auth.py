"""Who asks: from credentials to a principal."""

from __future__ import annotations

import pytest

from imgproxy.api.auth import Authenticator, Caller, require
from imgproxy.api.keys import Keys
from imgproxy.api.token import Tokens, Trust
from imgproxy.errors import AccessDenied, AuthenticationRequired
from imgproxy.files.model import TenantId
from imgproxy.files.principal import Kind, Principal
from tests.api.shell import (
    ELSEWHERE,
    PUBLISHABLE,
    SECRET,
    SECRET_KEY,
    Clock,
    KeysInMemory,
    token,
)

ACME = TenantId("acme")
TRUST = Trust(SECRET)


async def identify(key: str | None = None, authorization: str | None = None, trust: Trust = TRUST) -> Caller:
    record, clock = KeysInMemory(), Clock()
    for text, tenant in ((PUBLISHABLE, "acme"), (SECRET_KEY, "acme"), (ELSEWHERE, "other")):
        record.add(text, tenant)
    keys = Keys(record, clock=clock.milliseconds, timer=clock)
    given = {"X-API-Key": key, "Authorization": authorization}
    headers = {name: value for name, value in given.items() if value is not None}
    return await Authenticator(keys, Tokens(trust, clock=clock)).identify(headers)


def bearer(**claims: object) -> str:
    return f"Bearer {token(**claims)}"


@pytest.mark.parametrize(
    ("key", "authorization", "principal"),
    [
        (PUBLISHABLE, None, Principal(ACME, Kind.ANONYMOUS)),
        (SECRET_KEY, None, Principal(ACME, Kind.SERVICE)),
        (PUBLISHABLE, bearer(tenant="acme"), Principal(ACME, Kind.USER, "olga")),
        (PUBLISHABLE, bearer(tenant="acme").replace("Bearer", "bearer"), Principal(ACME, Kind.USER, "olga")),
        (SECRET_KEY, bearer(), Principal(ACME, Kind.USER, "olga")),
        (None, bearer(tenant="acme"), Principal(ACME, Kind.USER, "olga")),
        (
            PUBLISHABLE,
            bearer(tenant="acme", role="editor", groups=["a"]),
            Principal(ACME, Kind.USER, "olga", "editor", frozenset({"a"})),
        ),
    ],
)
async def test_credentials_make_a_principal(
    key: str | None, authorization: str | None, principal: Principal
) -> None:
    assert (await identify(key, authorization)).principal == principal


@pytest.mark.parametrize(
    ("key", "authorization"),
    [
        (None, None),
        ("", None),
        ("sk_" + "0" * 64, None),
        (None, bearer()),
        (PUBLISHABLE, "Bearer"),
        (PUBLISHABLE, "Bearer x"),
        (PUBLISHABLE, "Basic b2xnYTpwYXNz"),
        (PUBLISHABLE, bearer(exp=1)),
        ("pk_" + "0" * 64, bearer(tenant="acme")),
        (SECRET_KEY, "Bearer x"),
    ],
)
async def test_credentials_that_do_not_hold_are_401_and_never_somebody_of_lesser_rights(
    key: str | None, authorization: str | None
) -> None:
    with pytest.raises(AuthenticationRequired):
        await identify(key, authorization)


@pytest.mark.parametrize("key", [ELSEWHERE, PUBLISHABLE])
async def test_a_token_of_another_tenant_than_the_key_is_refused(key: str) -> None:
    with pytest.raises(AccessDenied):
        await identify(key, bearer(tenant="third"))


async def test_identify_refuses_a_token_without_tenant_beside_a_publishable_key() -> None:
    trust = Trust(SECRET, tenant_claim="org.id")
    for key in (PUBLISHABLE, ELSEWHERE, None):
        for claims in ({}, {"org": {}}, {"org": {"id": None}}, {"tenant": "acme"}):
            with pytest.raises(AuthenticationRequired, match=r"'org\.id' \(IMGPROXY_JWT_TENANT_CLAIM\)"):
                await identify(key, bearer(**claims), trust)


async def test_identify_takes_a_token_without_tenant_if_require_tenant_is_off() -> None:
    trust = Trust(SECRET, require_tenant=False)
    assert (await identify(PUBLISHABLE, bearer(), trust)).principal == Principal(ACME, Kind.USER, "olga")
    with pytest.raises(AuthenticationRequired):
        await identify(None, bearer(), trust)
    with pytest.raises(AccessDenied):
        await identify(PUBLISHABLE, bearer(tenant="other"), trust)


async def test_callers_are_counted_by_key_and_user() -> None:
    callers = [
        await identify(PUBLISHABLE),
        await identify(SECRET_KEY),
        await identify(ELSEWHERE),
        await identify(PUBLISHABLE, bearer(tenant="acme")),
        await identify(PUBLISHABLE, bearer(tenant="acme", sub="otto")),
    ]
    assert len({caller.name for caller in callers}) == len(callers)


@pytest.mark.parametrize(
    ("kind", "needs", "refusal"),
    [
        (Kind.ANONYMOUS, Kind.USER, AuthenticationRequired),
        (Kind.ANONYMOUS, Kind.SERVICE, AccessDenied),
        (Kind.USER, Kind.SERVICE, AccessDenied),
    ],
)
def test_who_may_not_call_an_endpoint_is_told_why(kind: Kind, needs: Kind, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        require(Caller(Principal(ACME, kind)), needs)


@pytest.mark.parametrize(
    ("kind", "needs"),
    [
        (Kind.ANONYMOUS, Kind.ANONYMOUS),
        (Kind.USER, Kind.ANONYMOUS),
        (Kind.USER, Kind.USER),
        (Kind.SERVICE, Kind.ANONYMOUS),
        (Kind.SERVICE, Kind.USER),
        (Kind.SERVICE, Kind.SERVICE),
    ],
)
def test_who_may_call_an_endpoint_passes(kind: Kind, needs: Kind) -> None:
    require(Caller(Principal(ACME, kind)), needs)
