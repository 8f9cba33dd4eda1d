"""Forged tokens: each is 401, whoever signed it, and asks the issuer for its keys no more than once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.attack.server import JWT_SECRET, Tenant, attacked

ISSUER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ISSUER_EC = ec.generate_private_key(ec.SECP256R1())
ATTACKER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ATTACKER_JWK = RSAAlgorithm.to_jwk(ATTACKER.public_key(), as_dict=True)
KEYS = {
    "keys": [
        {**RSAAlgorithm.to_jwk(ISSUER.public_key(), as_dict=True), "kid": "rsa"},
        {**ECAlgorithm.to_jwk(ISSUER_EC.public_key(), as_dict=True), "kid": "ec"},
    ]
}
PEM = ISSUER.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
DER = ISSUER.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
CLAIMS = {"sub": "olga", "tenant": "acme", "exp": int(time.time()) + 3600}

Json = dict[str, Any]


class _Issuer(BaseHTTPRequestHandler):
    """Serves the public keys and counts."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        body = json.dumps(KEYS).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Issuer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/keys"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def tenant(issuer: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    """A tenant of a server that takes tokens of its own secret and of an issuer."""
    with attacked(tmp_path_factory.mktemp("tokens"), jwks_url=issuer) as server:
        yield server.tenant("acme")


def part(value: object) -> bytes:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def unsigned(header: Json, signature: bytes = b"", claims: object = CLAIMS) -> str:
    return b".".join([part(header), part(claims), signature]).decode()


def by_hmac(key: bytes, digest: str = "sha256", **header: Any) -> str:
    """A token whose HMAC is right for a key that is none."""
    text = part({"alg": "HS256", **header}) + b"." + part(CLAIMS)
    return (text + b"." + part(hmac.digest(key, text, digest))).decode()


def by(key: Any, algorithm: str, **header: Any) -> str:
    return jwt.encode(CLAIMS, key, algorithm=algorithm, headers=header)


GOOD = by(JWT_SECRET, "HS256")
HEADER, PAYLOAD, SIGNATURE = GOOD.split(".")

FORGED = {
    **{
        f"alg {name!r}": unsigned({"alg": name, "typ": "JWT"})
        for name in ("none", "None", "NONE", "nOnE", "")
    },
    "alg none with a signature": unsigned({"alg": "none"}, part(b"x" * 32)),
    "alg null": unsigned({"alg": None}),
    "alg a list": unsigned({"alg": ["none", "HS256"]}),
    "alg missing": unsigned({"typ": "JWT"}),
    "header a list": unsigned([]),  # type: ignore[arg-type]
    "header no JSON": f"{part(b'{').decode()}.{PAYLOAD}.{SIGNATURE}",
    "confusion by PEM": by_hmac(PEM, kid="rsa"),
    "confusion by stripped PEM": by_hmac(PEM.strip(), kid="rsa"),
    "confusion by DER": by_hmac(DER, kid="rsa"),
    "confusion by modulus": by_hmac(ISSUER.public_key().public_numbers().n.to_bytes(256, "big"), kid="rsa"),
    "confusion by JWK": by_hmac(json.dumps(KEYS["keys"][0]).encode(), kid="rsa"),
    "empty secret": by_hmac(b""),
    "secret hashed": by_hmac(hashlib.sha256(JWT_SECRET.encode()).digest()),
    "HS384 by the secret": by_hmac(JWT_SECRET.encode(), "sha384", alg="HS384"),
    "HS512 by the secret": by_hmac(JWT_SECRET.encode(), "sha512", alg="HS512"),
    "RS256 claimed over HMAC": by_hmac(JWT_SECRET.encode(), alg="RS256", kid="rsa"),
    "another RSA key by a known name": by(ATTACKER, "RS256", kid="rsa"),
    "another RSA key by its own name": by(ATTACKER, "RS256", kid="attacker"),
    "another RSA key without a name": by(ATTACKER, "RS256"),
    "another EC key by a known name": by(ec.generate_private_key(ec.SECP256R1()), "ES256", kid="ec"),
    "embedded key": by(ATTACKER, "RS256", jwk=ATTACKER_JWK),
    "embedded key by a known name": by(ATTACKER, "RS256", jwk=ATTACKER_JWK, kid="rsa"),
    "key by URL": by(ATTACKER, "RS256", jku="http://127.0.0.1:1/keys", x5u="http://127.0.0.1:1/cert"),
    "RSA signature by the name of an EC key": by(ISSUER, "RS256", kid="ec"),
    "EC signature by the name of an RSA key": by(ISSUER_EC, "ES256", kid="rsa"),
    "psychic signature": unsigned({"alg": "ES256", "kid": "ec"}, part(bytes(64))),
    "psychic signature, empty": unsigned({"alg": "ES256", "kid": "ec"}),
    "signature of order": unsigned(
        {"alg": "ES256", "kid": "ec"},
        part(2 * 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551.to_bytes(32, "big")),
    ),
    "critical and unknown": by(JWT_SECRET, "HS256", crit=["exp2"], exp2=1),
    "unencoded payload": by(JWT_SECRET, "HS256", crit=["b64"], b64=False),
    **{
        f"kid {name[:24]!r}": by_hmac(key, kid=name)
        for name, key in (
            ("/dev/null", b""),
            ("../../../../../../dev/null", b""),
            ("' UNION SELECT 'x' -- ", b"x"),
            ("rsa\x00", b""),
            ("file:///etc/hostname", b""),
            ("http://127.0.0.1:1/", b""),
            ("k" * 3000, b""),
            ("| sleep 5", b""),
        )
    },
    "kid a number": unsigned({"alg": "RS256", "kid": 0}, part(b"x" * 256)),
    "kid an object": unsigned({"alg": "RS256", "kid": {"a": 1}}, part(b"x" * 256)),
    "payload of another token": f"{HEADER}.{part({**CLAIMS, 'sub': 'root'}).decode()}.{SIGNATURE}",
    "no signature": f"{HEADER}.{PAYLOAD}.",
    "signature cut": GOOD[:-4],
    "signature longer": GOOD + "AAAA",
    "two parts": f"{HEADER}.{PAYLOAD}",
    "four parts": f"{GOOD}.{SIGNATURE}",
    "five parts": f"{HEADER}..{SIGNATURE}..",
    "nested token": by(JWT_SECRET, "HS256", cty="JWT")[:-1] + "~",
    "padded": f"{HEADER}==.{PAYLOAD}==.{SIGNATURE[:-2]}==",
    "deep header": f"{part(b'[' * 2000).decode()}.{PAYLOAD}.{SIGNATURE}",
    "too long": unsigned({"alg": "HS256", "x": "y" * 5000}),
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_token_is_401(tenant: Tenant, name: str) -> None:
    before = _Issuer.asked
    for key in ({"X_API_Key": tenant.publishable_key}, {}, {"X_API_Key": tenant.secret_key}):
        response = tenant.call("GET", "/v1/files", Authorization=f"Bearer {FORGED[name]}", **key)
        assert response.status == 401, response
        assert response.json()["error"]["code"] == "common/authentication-required"
    assert _Issuer.asked <= before + 1


TRUE = {
    "HS256": GOOD,
    "RS256": by(ISSUER, "RS256", kid="rsa"),
    "PS256": by(ISSUER, "PS256", kid="rsa"),
    "ES256": by(ISSUER_EC, "ES256", kid="ec"),
}


@pytest.mark.parametrize("name", TRUE)
def test_true_token_is_taken(tenant: Tenant, name: str) -> None:
    assert tenant.call("GET", "/v1/files", Authorization=f"Bearer {TRUE[name]}").status == 200


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic TOKEN",
        "Bearer TOKEN, Bearer TOKEN",
        "Bearer Bearer TOKEN",
        "TOKEN",
        "\x7f",
    ],
)
def test_other_schemes_are_401_even_beside_a_key(tenant: Tenant, header: str) -> None:
    response = tenant.call(
        "GET", "/v1/files", X_API_Key=tenant.secret_key, Authorization=header.replace("TOKEN", GOOD)
    )
    assert response.status in (400, 401), response


def test_token_of_another_tenant_than_the_key_is_403(tenant: Tenant) -> None:
    elsewhere = tenant.token("olga", tenant="elsewhere")
    for key in (tenant.publishable_key, tenant.secret_key):
        response = tenant.call("GET", "/v1/files", X_API_Key=key, Authorization=f"Bearer {elsewhere}")
        assert response.status == 403, response


def test_unknown_key_ids_do_not_make_the_server_fetch_keys_each_time(tenant: Tenant) -> None:
    before = _Issuer.asked
    for number in range(50):
        token = by(ATTACKER, "RS256", kid=f"unknown{number}")
        assert tenant.call("GET", "/v1/files", Authorization=f"Bearer {token}").status == 401
    assert _Issuer.asked <= before + 1


@pytest.mark.parametrize(
    "key", ["", "sk_", "pk_" + "0" * 64, "sk_" + "0" * 64, "sk_" + "é" * 32, "x" * 7000, "*", "%00"]
)
def test_wrong_key_is_401(tenant: Tenant, key: str) -> None:
    assert tenant.call("GET", "/v1/files", X_API_Key=key).status == 401


def test_keys_differ_in_every_letter_that_counts(tenant: Tenant) -> None:
    for at in (3, 30, -1):
        letters = list(tenant.secret_key)
        letters[at] = "0" if letters[at] != "0" else "1"
        assert tenant.call("GET", "/v1/files", X_API_Key="".join(letters)).status == 401
    swapped = "sk_" + tenant.publishable_key[3:]
    assert tenant.call("GET", "/v1/files", X_API_Key=swapped).status == 401
