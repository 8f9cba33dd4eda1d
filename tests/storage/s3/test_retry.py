"""Tries are counted, pauses are drawn, and only what may pass is tried again."""

from __future__ import annotations

import pytest

from imgproxy.storage.s3.client import Retry


class Calls:
    """A call that fails in a given way each time, until it does not."""

    def __init__(self, *faults: Exception) -> None:
        self.count = 0
        self.pauses: list[float] = []
        self._faults = faults

    async def __call__(self) -> str:
        self.count += 1
        if self.count <= len(self._faults):
            raise self._faults[self.count - 1]
        return "answer"

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def run(self, tries: int = 4, random: float = 1.0) -> str:
        retry = Retry(tries=tries, base=1.0, cap=3.0, random=lambda: random, sleep=self.sleep)
        return await retry.run(self, is_transient=lambda fault: isinstance(fault, OSError))


async def test_success_is_not_tried_again() -> None:
    calls = Calls()
    assert await calls.run() == "answer"
    assert (calls.count, calls.pauses) == (1, [])


async def test_pauses_double_up_to_the_cap() -> None:
    calls = Calls(OSError(), OSError(), OSError())
    assert await calls.run() == "answer"
    assert calls.pauses == [1.0, 2.0, 3.0]


async def test_pauses_are_drawn_from_nothing_up() -> None:
    calls = Calls(OSError(), OSError())
    await calls.run(random=0.25)
    assert calls.pauses == [0.25, 0.5]


async def test_last_fault_is_raised() -> None:
    faults = [OSError(number) for number in range(4)]
    calls = Calls(*faults)
    with pytest.raises(OSError) as caught:  # noqa: PT011 - compared below
        await calls.run()
    assert caught.value is faults[-1]
    assert (calls.count, len(calls.pauses)) == (4, 3)


async def test_what_does_not_pass_is_raised_at_once() -> None:
    calls = Calls(OSError(), KeyError())
    with pytest.raises(KeyError):
        await calls.run()
    assert calls.count == 2
