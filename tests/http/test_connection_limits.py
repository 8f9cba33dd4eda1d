"""Bounds on connections, over connections that do nothing and a clock that is turned by hand."""

from __future__ import annotations

import logging
import resource
import socket
from asyncio import AbstractEventLoop
from collections.abc import Callable
from contextlib import closing, suppress
from typing import cast

import pytest

from imgproxy.http.connection_limits import Bounds, Connections, most_connections, unsent_in_kernel


class _Clock:
    """What the bounds need of a loop."""

    def __init__(self) -> None:
        self.now = 0.0
        self._timer: Callable[[], None] | None = None

    def time(self) -> float:
        return self.now

    def call_later(self, _seconds: float, call: Callable[[], None]) -> _Clock:
        self._timer = call
        return self

    def cancel(self) -> None:
        self._timer = None

    @property
    def idle(self) -> bool:
        return self._timer is None

    def go(self, seconds: int) -> None:
        """Let so many seconds pass."""
        for _ in range(seconds):
            self.now += 1
            timer, self._timer = self._timer, None
            if timer is not None:
                timer()


class _Connection:
    def __init__(self, idle_since: float | None = None, left: int = 0) -> None:
        self.idle_since = idle_since
        self.left = left
        self.end = ""

    def unsent(self) -> int:
        return self.left

    def late(self) -> None:
        self.end = "late"

    def abort(self) -> None:
        self.end = "reset"

    def force_close(self) -> None:
        self.end = "closed"


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


def _connections(clock: _Clock, bounds: Bounds) -> Connections:
    return Connections(bounds, loop=cast(AbstractEventLoop, clock))


def _send(
    connections: Connections, left: int, *, body: bytes | None = None, response: object = None
) -> _Connection:
    made = _Connection(left=left)
    connections.opened(made)
    connections.paused(made, response, body)
    return made


def test_write_timeout_resets_a_reader_that_takes_nothing(clock: _Clock) -> None:
    connections = _connections(clock, Bounds(write_timeout=5, min_rate=0))
    reader = _send(connections, 100)
    clock.go(4)
    assert not reader.end
    clock.go(1)
    assert reader.end == "reset"
    clock.go(12)
    assert clock.idle  # no timer runs for nobody


def test_write_timeout_spares_a_reader_that_takes_something(clock: _Clock) -> None:
    reader = _send(_connections(clock, Bounds(write_timeout=5, min_rate=0)), 100)
    for _ in range(20):
        reader.left -= 1
        clock.go(3)
    assert not reader.end


def test_write_timeout_of_0_waits_for_ever(clock: _Clock) -> None:
    reader = _send(_connections(clock, Bounds(write_timeout=0, min_rate=0)), 100)
    clock.go(1000)
    assert not reader.end


@pytest.mark.parametrize(("rate", "end"), [(999, "reset"), (1001, "")])
def test_min_rate_applies_after_its_grace(clock: _Clock, rate: int, end: str) -> None:
    reader = _send(_connections(clock, Bounds(min_rate=1000)), 10**9)
    for second in range(30):
        assert second > 9 or not reader.end
        reader.left -= rate
        clock.go(1)
    assert reader.end == end


def test_min_rate_averages_over_all_waits_of_a_response_but_not_over_the_time_between(clock: _Clock) -> None:
    connections = _connections(clock, Bounds(min_rate=1000))
    reader, response = _Connection(left=10_000), object()
    for _ in range(4):
        connections.paused(reader, response, None)
        clock.go(3)
        reader.left = 0
        connections.resumed(reader)
        clock.go(60)  # storage is slow, the client is not
        reader.left = 10_000
    assert not reader.end
    for _ in range(30):
        connections.paused(reader, response, None)
        clock.go(9)
        reader.left = 5_000
        connections.resumed(reader)
        reader.left = 10_000
    assert reader.end == "reset"


def test_client_bytes_count_a_buffer_once_for_all_its_readers(clock: _Clock) -> None:
    connections = _connections(clock, Bounds(client_bytes=1000))
    body = bytes(600)
    readers = [_send(connections, 600, body=body) for _ in range(50)]
    assert connections.held == 600
    assert not any(each.end for each in readers)
    for each in readers:
        connections.closed(each)
    assert connections.held == 0


def test_client_bytes_reset_the_readers_of_the_slowest_buffer(clock: _Clock) -> None:
    connections = _connections(clock, Bounds(client_bytes=1000))
    popular, lonely = bytes(400), bytes(401)
    quick = _send(connections, 400, body=popular)
    stuck = _send(connections, 400, body=popular)
    slow = _send(connections, 401, body=lonely)
    for _ in range(3):
        quick.left -= 50
        slow.left -= 10
        clock.go(1)
    new = _send(connections, 300, body=bytes(300))
    assert [each.end for each in (quick, stuck, slow, new)] == ["", "", "reset", ""]
    assert connections.held == 700


def test_client_bytes_leave_the_only_reader_alone(clock: _Clock) -> None:
    assert not _send(_connections(clock, Bounds(client_bytes=100)), 1000, body=bytes(1000)).end


def test_head_timeout_counts_from_the_first_byte_of_a_head(clock: _Clock) -> None:
    connections = _connections(clock, Bounds(head_timeout=5))
    slow, done = _Connection(idle_since=0), _Connection(idle_since=0)
    for each in (slow, done):
        connections.opened(each)
        connections.head_begun(each)
    clock.go(4)
    connections.head_begun(slow)
    done.idle_since = None
    clock.go(1)
    assert (slow.end, done.end) == ("late", "")


def test_head_timeout_spares_a_connection_that_has_had_its_response(clock: _Clock) -> None:
    connections = _connections(clock, Bounds(head_timeout=5))
    kept = _Connection(idle_since=0)
    connections.opened(kept)
    clock.now = 1
    connections.head_begun(kept)
    kept.idle_since = 1.1  # the rest came, and the response went, between two looks
    clock.go(20)
    assert not kept.end


def test_connections_over_the_limit_close_the_oldest_idle_one(clock: _Clock) -> None:
    connections = _connections(clock, Bounds(connections=3))
    busy, young, old = _Connection(), _Connection(idle_since=7), _Connection(idle_since=5)
    for each in (busy, young, old):
        connections.opened(each)
    connections.opened(_Connection(idle_since=10))
    assert [each.end for each in (busy, young, old)] == ["", "", "closed"]
    young.idle_since = 20  # it has been used since
    next_oldest = _Connection(idle_since=11)
    connections.closed(busy)
    connections.opened(next_oldest)
    connections.opened(_Connection(idle_since=21))
    assert not young.end


def test_connections_over_the_limit_and_none_idle_close_the_slowest_reader(clock: _Clock) -> None:
    connections = _connections(clock, Bounds(connections=2))
    busy = _Connection()
    connections.opened(busy)
    reader = _send(connections, 100)
    new = _Connection()
    connections.opened(new)
    assert [each.end for each in (busy, reader, new)] == ["", "reset", ""]
    another = _Connection()
    connections.opened(another)
    assert another.end == "closed"


def test_what_was_closed_is_logged_once_in_a_while_with_its_count(
    clock: _Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    connections = _connections(clock, Bounds(connections=1))
    for number in range(300):
        connections.opened(_Connection(idle_since=number))
    clock.go(30)
    assert [each.getMessage() for each in caplog.records] == [
        "connections closed: 1 idle connections over the limit of 1",
        "connections closed: 298 idle connections over the limit of 1",
    ]


def test_most_connections_leaves_descriptors_to_others() -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert 16 <= most_connections() <= min(soft // 2, 65_536)


def test_unsent_in_kernel_counts_what_the_other_end_has_not_taken() -> None:
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as listening,
        closing(socket.create_connection(listening.getsockname())) as one,
        closing(listening.accept()[0]),
    ):
        one.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                one.send(bytes(65_536))
        assert unsent_in_kernel(one.fileno()) > 0
    assert unsent_in_kernel(-1) == 0
