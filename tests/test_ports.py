"""One port for the processes of one server alone."""

from __future__ import annotations

import socket
from contextlib import ExitStack, closing

import pytest

from imgproxy import ports
from tests.serving import free_port


def test_bind_listens_on_one_port_for_each_share() -> None:
    port = free_port()
    with ExitStack() as opened:
        shares = ports.bind("127.0.0.1", port, shares=3)
        for share in shares:
            for each in share:
                opened.enter_context(each)
        assert [[each.getsockname() for each in share] for share in shares] == [[("127.0.0.1", port)]] * 3
        for _ in range(20):
            socket.create_connection(("127.0.0.1", port), 5).close()


def test_bind_listens_on_every_address_of_a_host() -> None:
    found = {info[4][0] for info in socket.getaddrinfo("localhost", 1, type=socket.SOCK_STREAM)}
    with ExitStack() as opened:
        for each in ports.bind("localhost", free_port(), shares=1)[0]:
            opened.enter_context(each)
            found.discard(each.getsockname()[0])
    assert found == set()


@pytest.mark.parametrize("shared", [False, True])
def test_bind_fails_where_another_process_listens_even_if_that_would_share(shared: bool) -> None:
    with closing(socket.socket()) as other:
        if shared:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(OSError, match="in use"):
            ports.bind("127.0.0.1", other.getsockname()[1], shares=2)
