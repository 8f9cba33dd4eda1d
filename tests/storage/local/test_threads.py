"""Threads are waited for with patience, and what comes too late is handed back."""

from __future__ import annotations

import asyncio
import threading

import pytest

from imgproxy.errors import NotFound, StorageFailed, StorageSlow
from imgproxy.storage.local.threads import Threads


async def test_what_comes_too_late_is_handed_back() -> None:
    threads, go_on, late = Threads(0.01), threading.Event(), threading.Event()

    def work() -> str:
        assert go_on.wait(10)
        return "late"

    with pytest.raises(StorageSlow):
        await threads.run(work, late=lambda answer: late.set() if answer == "late" else None)
    go_on.set()
    assert await asyncio.to_thread(late.wait, 10)
    threads.close()


@pytest.mark.parametrize(
    ("fault", "expected"), [(FileNotFoundError(2, "x"), NotFound), (OSError(5, "x"), StorageFailed)]
)
async def test_faults_of_the_disk_come_out_as_ours(fault: OSError, expected: type[Exception]) -> None:
    threads = Threads(30)

    def work() -> None:
        raise fault

    with pytest.raises(expected):
        await threads.run(work)
    threads.close()
