"""Wrong credentials are counted against the address that shows them, and harm nobody behind it."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from tests.attack.conftest import Serve
from tests.attack.server import Attacked

_WRONG_KEY = "sk_" + "0" * 64
_SECRET = "a long purge secret"


@pytest.fixture
def guarded(serve: Serve) -> Attacked:
    return serve(wrong_credentials=3, purge_secret=_SECRET, unregistered="public")


@pytest.mark.parametrize(
    "headers",
    [
        {"X_API_Key": _WRONG_KEY},
        {"X_API_Key": "sk_short"},
        {"Authorization": "Bearer a.b.c"},
    ],
)
def test_wrong_keys_and_tokens_are_429_after_so_many_and_right_ones_are_served(
    guarded: Attacked, headers: dict[str, str]
) -> None:
    acme = guarded.tenant("acme")
    found = [guarded.request("/v1/files", **headers) for _ in range(6)]
    assert [each.status for each in found] == [401] * 3 + [429] * 3
    assert 0 < int(found[-1].headers["retry-after"]) <= 60
    assert acme.call("GET", "/v1/files").status == 200
    assert guarded.request("/v1/files", **acme.user("olga")).status == 200
    expired = acme.token("olga", seconds=-3600)
    assert (
        guarded.request("/v1/files", Authorization=f"Bearer {expired}").status == 401
    )  # its holder signs in
    assert guarded.request("/v1/files").status == 401


def test_wrong_keys_count_for_the_address_behind_a_trusted_proxy(serve: Serve) -> None:
    server = serve(wrong_credentials=1, trusted_proxies=(ip_network("127.0.0.0/8"),))
    for address, status in (("192.0.2.1", 401), ("192.0.2.1", 429), ("192.0.2.2", 401)):
        assert server.request("/v1/files", X_API_Key=_WRONG_KEY, X_Forwarded_For=address).status == status


def test_purge_secret_cannot_be_guessed_on_once_an_address_is_locked(guarded: Attacked) -> None:
    guesses = [
        guarded.request("/x.jpg", method="PURGE", Authorization=f"Bearer guess {number}")
        for number in range(5)
    ]
    assert [each.status for each in guesses] == [403] * 3 + [429] * 2
    locked = guarded.request("/x.jpg", method="PURGE", Authorization=f"Bearer {_SECRET}")
    assert (locked.status, 0 < int(locked.headers["retry-after"]) <= 60) == (429, True)


def test_purge_is_served_to_an_address_that_has_shown_the_secret(guarded: Attacked) -> None:
    def purge(secret: str) -> int:
        return guarded.request("/x.jpg", method="PURGE", Authorization=f"Bearer {secret}").status

    assert purge(_SECRET) == 200
    assert [purge("wrong") for _ in range(5)] == [403] * 3 + [429] * 2
    assert purge(_SECRET) == 200
