"""Bearer tokens: what is believed of them, and what is not."""

from __future__ import annotations

import base64
import hmac
import json
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from imgproxy.api.jwks import PublicKey
from imgproxy.api.token import LEEWAY, Claims, Tokens, Trust, issue
from imgproxy.errors import AuthenticationRequired
from tests.api.shell import NOW, SECRET, Clock, token

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


@dataclass
class KeysInMemory:
    """Public keys by name."""

    keys: dict[str | None, PublicKey] = field(default_factory=dict)
    generation: int = 0
    asked: int = 0

    async def find(self, name: str | None) -> PublicKey:
        self.asked += 1
        if name not in self.keys:
            raise AuthenticationRequired("no such key")
        return self.keys[name]


def readers(clock: Clock | None = None, **trust: str) -> Tokens:
    return Tokens(Trust(SECRET, **trust), clock=clock or Clock())


async def test_a_token_names_its_user() -> None:
    given = token(tenant="acme", role="editor", groups=["sales", "press"])
    expected = Claims("olga", NOW + 3600, "acme", "editor", frozenset({"sales", "press"}))
    assert await readers().read(given) == expected


async def test_what_we_issue_we_read() -> None:
    trust = Trust(SECRET, issuer="us", audience="files", tenant_claim="org")
    given = issue(trust, user="olga", now=NOW, seconds=60, tenant="acme", role="editor", groups=("a",))
    claims = await Tokens(trust, clock=Clock()).read(given)
    assert claims == Claims("olga", NOW + 60, "acme", "editor", frozenset({"a"}))


@pytest.mark.parametrize(
    ("later", "holds"), [(3600, True), (3600 + LEEWAY - 1, True), (3600 + LEEWAY, False)]
)
async def test_a_token_ends_with_some_leeway_remembered_or_not(later: int, holds: bool) -> None:
    clock = Clock()
    remembering, new = readers(clock), readers(clock)
    await remembering.read(token())
    clock.now += later
    for tokens in (remembering, new):
        if holds:
            assert (await tokens.read(token())).user == "olga"
        else:
            with pytest.raises(AuthenticationRequired, match="the token has expired"):
                await tokens.read(token())


@pytest.mark.parametrize(("ahead", "holds"), [(LEEWAY, True), (LEEWAY + 1, False)])
async def test_a_token_may_begin_later(ahead: int, holds: bool) -> None:
    given = token(nbf=NOW + ahead)
    if holds:
        assert (await readers().read(given)).user == "olga"
    else:
        with pytest.raises(AuthenticationRequired, match="does not hold yet"):
            await readers().read(given)


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "a\nb"},
        {"sub": "x" * 256},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": 1e300},
        {"exp": True},
        {"nbf": "yesterday"},
        {"role": ["admin"]},
        {"groups": "sales"},
        {"groups": [1]},
        {"groups": ["g"] * 101},
        {"tenant": 7},
        {"tenant": ""},
    ],
)
async def test_a_claim_that_cannot_be_is_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(AuthenticationRequired, match="not accepted"):
        await readers().read(token(**claims))


def unsigned(header: dict[str, Any], signature: str = "") -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part(header)}.{part({'sub': 'olga', 'exp': NOW + 60})}.{signature}"


@pytest.mark.parametrize(
    "given",
    [
        "",
        "x",
        "a.b.c",
        "....",
        unsigned({"alg": "none"}),
        unsigned({"alg": "None"}),
        unsigned({"alg": "HS256"}),
        unsigned({"alg": ["HS256"]}),
        unsigned({"alg": "HS256", "crit": ["b64"], "b64": False}),
        unsigned({}),
        jwt.encode({"sub": "olga", "exp": NOW + 60}, SECRET[::-1], algorithm="HS256"),
        jwt.encode({"sub": "olga", "exp": NOW + 60}, SECRET * 2, algorithm="HS512"),
        "é" * 10,
        "x" * 5000,
    ],
)
async def test_what_we_did_not_sign_is_refused(given: str) -> None:
    with pytest.raises(AuthenticationRequired):
        await readers().read(given)


async def test_a_token_that_was_changed_is_refused() -> None:
    head, _, signature = token().split(".")
    _, other, _ = token(sub="otto").split(".")
    with pytest.raises(AuthenticationRequired):
        await readers().read(f"{head}.{other}.{signature}")


async def test_without_a_secret_no_token_is_believed() -> None:
    empty = jwt.encode({"sub": "olga", "exp": NOW + 60}, "x" * 32, algorithm="HS256")
    with pytest.raises(AuthenticationRequired, match="algorithm is not used"):
        await Tokens(Trust(), clock=Clock()).read(empty)


@pytest.mark.parametrize("claims", [{}, {"iss": "them"}])
async def test_a_token_of_another_issuer_is_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(AuthenticationRequired, match="iss"):
        await readers(issuer="us").read(token(**claims))
    assert (await readers(issuer="us").read(token(iss="us"))).user == "olga"


@pytest.mark.parametrize("claims", [{}, {"aud": "others"}])
async def test_a_token_for_another_audience_is_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(AuthenticationRequired, match="aud"):
        await readers(audience="files").read(token(**claims))
    assert (await readers(audience="files").read(token(aud=["x", "files"]))).user == "olga"


async def test_an_audience_is_not_asked_for_where_none_is_set() -> None:
    assert (await readers().read(token(aud="anything"))).user == "olga"


@pytest.mark.parametrize(
    ("claim", "claims"),
    [
        ("org_id", {"org_id": "acme"}),
        ("org.id", {"org": {"id": "acme"}}),
        ("https://issuer.example/tenant", {"https://issuer.example/tenant": "acme"}),
    ],
)
async def test_the_tenant_is_read_where_the_deployment_says(claim: str, claims: dict[str, Any]) -> None:
    assert (await readers(tenant_claim=claim).read(token(**claims))).tenant == "acme"


async def test_a_way_that_leads_nowhere_names_no_tenant() -> None:
    assert (await readers(tenant_claim="org.id").read(token(org="acme"))).tenant is None


def with_public_keys() -> tuple[Tokens, KeysInMemory]:
    keys = KeysInMemory(
        {
            "rsa": PublicKey(RSA_KEY.public_key(), ("RS256", "PS256")),
            "ec": PublicKey(EC_KEY.public_key(), ("ES256",)),
        }
    )
    return Tokens(Trust(SECRET), keys, clock=Clock()), keys


@pytest.mark.parametrize(
    ("key", "algorithm", "name"),
    [(RSA_KEY, "RS256", "rsa"), (RSA_KEY, "PS256", "rsa"), (EC_KEY, "ES256", "ec")],
)
async def test_a_token_may_be_signed_by_a_public_key(key: Any, algorithm: str, name: str) -> None:
    tokens, _ = with_public_keys()
    given = jwt.encode({"sub": "olga", "exp": NOW + 60}, key, algorithm=algorithm, headers={"kid": name})
    assert (await tokens.read(given)).user == "olga"


async def test_a_public_key_is_not_taken_for_a_secret() -> None:
    tokens, _ = with_public_keys()
    public = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    forged = unsigned({"alg": "HS256", "kid": "rsa"})
    head, _, _ = forged.rpartition(".")
    signature = base64.urlsafe_b64encode(hmac.digest(public, head.encode(), "sha256")).rstrip(b"=").decode()
    with pytest.raises(AuthenticationRequired):
        await tokens.read(f"{head}.{signature}")


async def test_a_key_is_used_with_no_algorithm_but_its_own() -> None:
    tokens, _ = with_public_keys()
    given = jwt.encode({"sub": "olga", "exp": NOW + 60}, RSA_KEY, algorithm="RS512", headers={"kid": "rsa"})
    with pytest.raises(AuthenticationRequired):
        await tokens.read(given)


async def test_a_signature_is_verified_once() -> None:
    tokens, keys = with_public_keys()
    given = jwt.encode({"sub": "olga", "exp": NOW + 60}, EC_KEY, algorithm="ES256", headers={"kid": "ec"})
    for _ in range(3):
        await tokens.read(given)
    assert keys.asked == 1


async def test_when_keys_change_signatures_are_verified_anew() -> None:
    tokens, keys = with_public_keys()
    given = jwt.encode({"sub": "olga", "exp": NOW + 60}, EC_KEY, algorithm="ES256", headers={"kid": "ec"})
    await tokens.read(given)
    keys.keys.clear()
    keys.generation += 1
    with pytest.raises(AuthenticationRequired):
        await tokens.read(given)


def test_a_secret_is_not_shown() -> None:
    assert SECRET not in repr(Trust(SECRET))
