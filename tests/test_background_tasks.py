"""What nobody waits for is done once, fails quietly, and ends with its owner."""

from __future__ import annotations

import asyncio

import pytest

from imgproxy.background_tasks import BackgroundTasks
from imgproxy.errors import Overloaded


class Work:
    """Waits until it is let go, counts, and ends as it is told."""

    def __init__(self, error: Exception | None = None) -> None:
        self.begun = self.ended = 0
        self.reached, self.left, self.go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.error = error

    async def __call__(self) -> None:
        self.begun += 1
        self.reached.set()
        try:
            await self.go_on.wait()
            if self.error is not None:
                raise self.error
        finally:
            self.ended += 1
            self.left.set()


async def until_ended(work: Work) -> None:
    work.go_on.set()
    await asyncio.wait_for(work.left.wait(), 10)
    work.left.clear()
    await asyncio.sleep(0)


async def test_one_errand_of_a_name_runs_at_a_time() -> None:
    tasks, work, other = BackgroundTasks(), Work(), Work()
    tasks.spawn("a", work)
    tasks.spawn("a", work)
    tasks.spawn("b", other)
    await until_ended(work)
    await until_ended(other)
    assert (work.begun, other.begun) == (1, 1)


@pytest.mark.parametrize("error", [None, Overloaded("full"), ZeroDivisionError()])
async def test_one_that_has_ended_may_begin_anew_however_it_ended(error: Exception | None) -> None:
    tasks, work = BackgroundTasks(), Work(error)
    tasks.spawn("a", work)
    await until_ended(work)
    tasks.spawn("a", work)
    await until_ended(work)
    assert work.begun == 2


async def test_an_ordinary_failure_is_told_nobody_and_a_defect_is(caplog: pytest.LogCaptureFixture) -> None:
    for error in (Overloaded("full"), ZeroDivisionError("by what")):
        tasks = BackgroundTasks()
        tasks.spawn(error, work := Work(error))
        await until_ended(work)
        await tasks.close()
    assert [record.message for record in caplog.records] == ["a defect behind the answers"]


async def test_closing_ends_what_is_under_way_and_what_has_not_begun() -> None:
    tasks, work, late = BackgroundTasks(), Work(), Work()
    tasks.spawn("a", work)
    await work.reached.wait()
    tasks.spawn("b", late)
    await tasks.close()
    assert (work.ended, late.begun, len(asyncio.all_tasks())) == (1, 0, 1)


async def test_nothing_is_begun_after_the_end() -> None:
    tasks, work = BackgroundTasks(), Work()
    await tasks.close()
    tasks.spawn("a", work)
    assert (work.begun, len(asyncio.all_tasks())) == (0, 1)
