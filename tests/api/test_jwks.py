"""The public keys of whoever issues tokens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from imgproxy.api.jwks import Download, KeySet, parse
from imgproxy.errors import AuthenticationRequired, Unavailable
from tests.api.shell import Clock

RSA: dict[str, Any] = RSAAlgorithm.to_jwk(
    rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key(), as_dict=True
)
SMALL_RSA: dict[str, Any] = RSAAlgorithm.to_jwk(
    rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key(),  # noqa: S505  to be refused
    as_dict=True,
)
EC: dict[str, Any] = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True)
ED: dict[str, Any] = OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate().public_key(), as_dict=True)
PRIVATE: dict[str, Any] = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)


def document(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": keys}).encode()


@pytest.mark.parametrize(
    ("jwk", "algorithms"),
    [
        (RSA, ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
        (RSA | {"alg": "RS256"}, ("RS256",)),
        (EC, ("ES256",)),
        (ED, ("EdDSA",)),
        (EC | {"use": "sig"}, ("ES256",)),
    ],
)
def test_a_key_says_what_it_may_be_used_with(jwk: dict[str, Any], algorithms: tuple[str, ...]) -> None:
    assert parse(document(jwk | {"kid": "a"}))["a"].algorithms == algorithms


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "oct", "k": "c2VjcmV0"},
        EC | {"use": "enc"},
        EC | {"alg": "HS256"},
        EC | {"crv": "P-384"},
        EC | {"x": "!"},
        {"kty": "RSA"},
        SMALL_RSA,
        PRIVATE,
        {},
    ],
)
def test_a_key_that_proves_nothing_is_left_out(jwk: dict[str, Any]) -> None:
    assert parse(document(jwk | {"kid": "a"}, EC | {"kid": "b"})).keys() == {"b"}


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"keys":1}', b"\xff", b"[" * 100_000])
def test_what_is_no_set_of_keys_is_said_to_be_none(raw: bytes) -> None:
    with pytest.raises(Unavailable):
        parse(raw)


class Issuer:
    """Gives keys, or fails; counts."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.keys = list(keys)
        self.asked = 0
        self.down = False
        self.again = asyncio.Event()

    async def __call__(self) -> bytes:
        self.asked += 1
        if self.asked > 1:
            self.again.set()
        await asyncio.sleep(0)
        if self.down:
            raise Unavailable("down")
        return document(*self.keys)


async def test_keys_are_fetched_once_for_all_who_wait() -> None:
    issuer = Issuer(EC | {"kid": "a"})
    keys = KeySet(issuer, timer=Clock())
    await asyncio.gather(*(keys.find("a") for _ in range(10)))
    assert issuer.asked == 1


async def test_the_only_key_needs_no_name() -> None:
    assert (await KeySet(Issuer(EC), timer=Clock()).find(None)).algorithms == ("ES256",)


async def test_of_several_keys_one_must_be_named() -> None:
    keys = KeySet(Issuer(EC | {"kid": "a"}, ED | {"kid": "b"}), timer=Clock())
    with pytest.raises(AuthenticationRequired):
        await keys.find(None)


async def test_a_new_key_is_found_and_made_up_names_ask_no_more_than_now_and_then() -> None:
    clock, issuer = Clock(), Issuer(EC | {"kid": "old"})
    keys = KeySet(issuer, timer=clock)
    await keys.find("old")
    for _ in range(5):
        with pytest.raises(AuthenticationRequired):
            await keys.find("new")
    assert issuer.asked == 1
    clock.now += 30
    issuer.keys = [ED | {"kid": "new"}]
    assert (await keys.find("new")).algorithms == ("EdDSA",)
    assert (issuer.asked, keys.generation) == (2, 2)


async def test_old_keys_serve_while_new_ones_are_fetched_or_cannot_be() -> None:
    clock, issuer = Clock(), Issuer(EC | {"kid": "a"})
    keys = KeySet(issuer, timer=clock)
    first = await keys.find("a")
    clock.now += 601
    issuer.down = True
    assert await keys.find("a") is first
    await issuer.again.wait()
    assert await keys.find("a") is first
    await keys.close()


async def test_an_issuer_that_is_down_for_a_day_is_believed_no_more() -> None:
    clock, issuer = Clock(), Issuer(EC | {"kid": "a"})
    keys = KeySet(issuer, timer=clock)
    await keys.find("a")
    clock.now += 24 * 3600 + 1
    issuer.down = True
    with pytest.raises(Unavailable):
        await keys.find("a")


@asynccontextmanager
async def serving(answer: Callable[[], web.Response]) -> AsyncIterator[Download]:
    async def handle(_request: web.Request) -> web.Response:
        return answer()

    application = web.Application()
    application.router.add_get("/keys", handle)
    async with TestServer(application) as server:
        download = Download(str(server.make_url("/keys")))
        yield download
        await download.close()


async def test_a_document_is_downloaded() -> None:
    async with serving(lambda: web.Response(body=document(EC))) as download:
        assert await download() == document(EC)


@pytest.mark.parametrize(
    "answer",
    [
        lambda: web.Response(status=500),
        lambda: web.Response(status=302, headers={"Location": "/keys"}),
        lambda: web.Response(body=b"x" * (256 * 1024 + 1)),
    ],
)
async def test_what_is_no_document_is_unavailable(answer: Callable[[], web.Response]) -> None:
    async with serving(answer) as download:
        with pytest.raises(Unavailable):
            await download()


async def test_an_issuer_that_is_not_there_is_unavailable() -> None:
    download = Download("http://127.0.0.1:1/keys")
    with pytest.raises(Unavailable, match="does not answer"):
        await download()
    await download.close()
