"""A client is who the last trusted proxy was asked by, whatever else is claimed."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from imgproxy.http.client_address import Clients

OURS = Clients([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])


class Asked:
    """A request, as far as it matters."""

    def __init__(self, remote: str | None, *forwarded: str) -> None:
        self.remote = remote
        self.headers = CIMultiDict(("x-forwarded-for", each) for each in forwarded)


def test_without_proxies_a_client_is_who_connects() -> None:
    assert Clients().address(Asked("203.0.113.7", "198.51.100.1")) == "203.0.113.7"


@pytest.mark.parametrize(
    ("remote", "forwarded", "client"),
    [
        ("10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["203.0.113.7, 10.0.0.2"], "203.0.113.7"),
        ("10.0.0.1", ["203.0.113.7", "10.0.0.2"], "203.0.113.7"),
        ("10.0.0.1", ["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.7, <script>, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ['203.0.113.7, fe80::1%","admin":"yes, 10.0.0.2'], "10.0.0.2"),
        ("10.0.0.1", ['[fe80::1%eth0"]:80'], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.7" + ", 10.0.0.2" * 20], "203.0.113.7"),
        ("10.0.0.1", ["203.0.113.7" + ", 10.0.0.2" * 2000], "10.0.0.2"),
        ("10.0.0.1", ["1" * 60_000], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.7, \udcff"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.7:4711"], "203.0.113.7"),
        ("fd00::1", ["[2001:db8::7]:4711"], "2001:db8::7"),
        ("::ffff:10.0.0.1", ["::ffff:203.0.113.7"], "203.0.113.7"),
    ],
)
def test_the_list_is_believed_as_far_as_proxies_wrote_it(
    remote: str, forwarded: list[str], client: str
) -> None:
    assert OURS.address(Asked(remote, *forwarded)) == client


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "::ffff:203.0.113.7"),
        (None, ""),
    ],
)
def test_a_client_of_ipv6_is_counted_by_its_network(address: str | None, name: str) -> None:
    assert Clients().name(Asked(address)) == name


def test_a_request_of_aiohttp_has_what_is_needed() -> None:
    request = make_mocked_request("GET", "/", headers={"X-Forwarded-For": "203.0.113.7"})
    assert OURS.address(request) == ""
