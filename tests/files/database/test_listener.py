"""Promises of `imgproxy.files.database.listener`, on a wire that breaks when told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from imgproxy.files.database import ChangeNotice
from imgproxy.files.database.listener import Listener


class Wire:
    """A connection on which nobody says anything until told to."""

    def __init__(self, *, deaf: bool = False) -> None:
        self.deaf = deaf
        self.terminated = False
        self.say: Callable[[str], None] = lambda _key: None
        self.break_off: Callable[[], None] = lambda: None

    def add_termination_listener(self, callback: Callable[[Any], None]) -> None:
        self.break_off = lambda: callback(self)

    async def add_listener(self, _channel: str, callback: Callable[..., None]) -> None:
        if self.deaf:
            raise OSError("reset")
        self.say = lambda key: callback(self, 1, "channel", key)

    def terminate(self) -> None:
        self.terminated = True


def _listener(*wires: Wire) -> Listener:
    left = iter(wires)

    async def connect() -> Wire:
        return next(left)

    return Listener(connect)


async def test_keys_are_told_in_the_order_they_came() -> None:
    wire = Wire()
    told = _listener(wire).listen()
    assert await anext(told) == ChangeNotice("listening")
    wire.say("a")
    wire.say("b")
    assert [await anext(told), await anext(told)] == [ChangeNotice("key", "a"), ChangeNotice("key", "b")]
    await told.aclose()  # type: ignore[attr-defined]
    assert wire.terminated


async def test_a_connection_that_breaks_is_told_and_another_is_made() -> None:
    first, second = Wire(), Wire()
    told = _listener(first, second).listen()
    assert await anext(told) == ChangeNotice("listening")
    first.break_off()
    assert [await anext(told), await anext(told)] == [ChangeNotice("lost"), ChangeNotice("listening")]
    assert (first.terminated, second.terminated) == (True, False)
    await told.aclose()  # type: ignore[attr-defined]


async def test_a_connection_that_cannot_listen_is_let_go_and_another_is_made() -> None:
    deaf, hearing = Wire(deaf=True), Wire()
    told = _listener(deaf, hearing).listen()
    assert await anext(told) == ChangeNotice("listening")
    assert deaf.terminated
    await told.aclose()  # type: ignore[attr-defined]


async def test_each_who_listens_is_told() -> None:
    wires = [Wire(), Wire()]
    listener = _listener(*wires)
    both = [listener.listen(), listener.listen()]
    assert [await anext(each) for each in both] == [ChangeNotice("listening")] * 2
    for wire in wires:
        wire.say("a")
    assert [await anext(each) for each in both] == [ChangeNotice("key", "a")] * 2
    await listener.close()
    assert [await asyncio.wait_for(anext(each), 30) for each in both] == [ChangeNotice("lost")] * 2
    for each in both:
        await each.aclose()  # type: ignore[attr-defined]
