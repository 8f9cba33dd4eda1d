"""Listening sockets on one port, one for each process; the kernel distributes connections (SO_REUSEPORT).

Two servers of one user could share a port in the same way without noticing. So the port is bound exclusively
first: that fails if another process listens there. Linux only: other systems do not balance such sockets.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import Any

BACKLOG = 1024
"""Connections that may wait to be accepted."""


class CannotListen(Exception):
    """Address or port that is taken or not permitted, with the reason on one line."""


def bind(host: str, port: int, *, shares: int) -> list[list[socket.socket]]:
    """Return `shares` lists of listening sockets, one for each address of a host; raise OSError."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    addresses = dict.fromkeys((family, address) for family, _, _, _, address in found)
    with ExitStack() as opened:
        for family, address in addresses:
            _bound(family, address, shared=False).close()
        shared = [
            [opened.enter_context(_bound(family, address, shared=True)) for family, address in addresses]
            for _ in range(shares)
        ]
        for each in (each for share in shared for each in share):
            each.listen(BACKLOG)
        opened.pop_all()
    return shared


def _bound(family: int, address: Any, *, shared: bool) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
    except BaseException:
        bound.close()
        raise
    return bound
