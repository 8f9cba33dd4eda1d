"""Tests of `Listener`, on a fake connection that breaks on demand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from imgproxy.files.database import ChangeNotice
from imgproxy.files.database.listener import Listener


class FakeConnection:
    """A connection that notifies and breaks when a test calls it to."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.refuses = refuses
        self.terminated = False
        self.notify: Callable[[str], None] = lambda _key: None
        self.break_off: Callable[[], None] = lambda: None

    def add_termination_listener(self, callback: Callable[[Any], None]) -> None:
        self.break_off = lambda: callback(self)

    async def add_listener(self, _channel: str, callback: Callable[..., None]) -> None:
        if self.refuses:
            raise OSError("reset")
        self.notify = lambda key: callback(self, 1, "channel", key)

    def terminate(self) -> None:
        self.terminated = True


def _listener(*connections: FakeConnection) -> Listener:
    left = iter(connections)

    async def connect() -> FakeConnection:
        return next(left)

    return Listener(connect)


async def test_listener_yields_keys_in_order() -> None:
    connection = FakeConnection()
    notices = _listener(connection).listen()
    assert await anext(notices) == ChangeNotice("listening")
    connection.notify("a")
    connection.notify("b")
    assert [await anext(notices), await anext(notices)] == [
        ChangeNotice("key", "a"),
        ChangeNotice("key", "b"),
    ]
    await notices.aclose()  # type: ignore[attr-defined]
    assert connection.terminated


async def test_listener_of_a_broken_connection_yields_lost_and_reconnects() -> None:
    first, second = FakeConnection(), FakeConnection()
    notices = _listener(first, second).listen()
    assert await anext(notices) == ChangeNotice("listening")
    first.break_off()
    assert [await anext(notices), await anext(notices)] == [ChangeNotice("lost"), ChangeNotice("listening")]
    assert (first.terminated, second.terminated) == (True, False)
    await notices.aclose()  # type: ignore[attr-defined]


async def test_listener_closes_a_connection_that_cannot_listen_and_reconnects() -> None:
    refuses, working = FakeConnection(refuses=True), FakeConnection()
    notices = _listener(refuses, working).listen()
    assert await anext(notices) == ChangeNotice("listening")
    assert refuses.terminated
    await notices.aclose()  # type: ignore[attr-defined]


async def test_listener_reports_to_each_iterator() -> None:
    connections = [FakeConnection(), FakeConnection()]
    listener = _listener(*connections)
    both = [listener.listen(), listener.listen()]
    assert [await anext(each) for each in both] == [ChangeNotice("listening")] * 2
    for connection in connections:
        connection.notify("a")
    assert [await anext(each) for each in both] == [ChangeNotice("key", "a")] * 2
    await listener.close()
    assert [await asyncio.wait_for(anext(each), 30) for each in both] == [ChangeNotice("lost")] * 2
    for each in both:
        await each.aclose()  # type: ignore[attr-defined]
