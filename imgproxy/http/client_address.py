"""Whose request it is: the address of its client, behind the proxies that we trust.

Each proxy adds the address that asked it to the end of `X-Forwarded-For`. So the list is believed from its
end, and no further than it was written by proxies that we know: what stands before that, anybody may have
made up.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Protocol

from multidict import MultiMapping

Network = IPv4Network | IPv6Network

_HEADER = "X-Forwarded-For"
_SITE = 64  # bits: the least that a customer is given, and has a new address from at will (RFC 6177)
_KNOWN = 8_192
_LONGEST = 1_024  # characters of the header, from its end: some 20 proxies


class Asked(Protocol):
    """What is needed of a request."""

    @property
    def remote(self) -> str | None: ...

    @property
    def headers(self) -> MultiMapping[str]: ...


class Clients:
    """Tells clients apart."""

    def __init__(self, proxies: Sequence[Network] = ()) -> None:
        """The word of who asks from `proxies` is taken; without any, a client is who connects."""
        self._proxies = tuple(proxies)
        self._nearest = lru_cache(_KNOWN)(partial(_nearest, self._proxies))

    def address(self, http: Asked) -> str:
        """The nearest address that is no proxy's; empty if nobody's is known."""
        remote = http.remote or ""
        if not self._proxies:
            return remote
        return self._nearest(remote, ",".join(http.headers.getall(_HEADER, ())))

    def name(self, http: Asked) -> str:
        """By what a client is counted: an IPv6 address would be one of 2^64 that it has."""
        return _site(self.address(http))


def _nearest(proxies: tuple[Network, ...], remote: str, forwarded: str) -> str:
    nearest = remote
    if len(forwarded) > _LONGEST:
        forwarded = forwarded[-_LONGEST:].partition(",")[2]
    for text in reversed(forwarded.split(",")):
        before = _parse(text)
        if before is None or not _is_within(proxies, nearest):
            break
        nearest = str(before)
    return nearest


def _is_within(networks: tuple[Network, ...], text: str) -> bool:
    address = _parse(text)
    return address is not None and any(address in network for network in networks)


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address, perhaps with a port, as some proxies write it; IPv4 in either form is the same."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return None  # `fe80::1%anything`: text of a client's choice behind an address
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


@lru_cache(_KNOWN)
def _site(text: str) -> str:
    address = _parse(text)
    if not isinstance(address, IPv6Address):
        return text
    return str(ip_network((int(address), _SITE), strict=False))


DIRECT = Clients()
"""No proxy is trusted."""
