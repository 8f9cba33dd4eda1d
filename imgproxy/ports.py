"""Listening sockets on one port, one for each process; the kernel distributes connections (SO_REUSEPORT).

Two servers of one user could share a port in the same way without noticing. So the port is bound exclusively
first: that fails if another process listens there. Linux only: other systems do not balance such sockets.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack

BACKLOG = 1024
"""Connections that may wait to be accepted."""


class CannotListen(Exception):
    """Address or port that is taken or not permitted, with the reason on one line."""


def bind(host: str, port: int, *, shares: int) -> list[list[socket.socket]]:
    """Return `shares` lists of listening sockets, one for each address of a host; raise OSError."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    addresses = dict.fromkeys((family, address) for family, _, _, _, address in found)
    for family, address in addresses:
        socket.create_server(address, family=family).close()
    with ExitStack() as opened:
        shared = [
            [
                opened.enter_context(
                    socket.create_server(address, family=family, backlog=BACKLOG, reuse_port=True)
                )
                for family, address in addresses
            ]
            for _ in range(shares)
        ]
        opened.pop_all()
    return shared
