"""The watchdog tells a loop that is held from one whose process has to wait."""

from __future__ import annotations

import gc
import time

import pytest

from tests.attack.server import Attacked
from tests.attack.watchdog import LONGEST_SECONDS


async def _compute(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


async def _wait(seconds: float) -> None:
    time.sleep(seconds)  # noqa: ASYNC251  as a process that the kernel does not run


def test_watchdog_sees_a_loop_that_computes_and_says_where(edge: Attacked) -> None:
    edge.run(_compute(0.1))
    edge.run(_wait(0.02))  # a tick later
    assert edge.watchdog.longest >= 0.1
    assert "_compute" in edge.watchdog.where
    edge.watchdog.reset()


def test_watchdog_is_silent_about_a_loop_that_is_not_run(edge: Attacked) -> None:
    edge.run(_wait(0.2))
    edge.run(_wait(0.02))
    assert edge.watchdog.longest < LONGEST_SECONDS


async def _collect(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        gc.collect()


def test_watchdog_is_silent_about_a_collection_of_cycles(edge: Attacked) -> None:
    edge.run(_collect(0.3))
    edge.run(_wait(0.02))
    assert edge.watchdog.longest < LONGEST_SECONDS


@pytest.mark.parametrize("target", ["/fit-in/50x50/photo.jpg", "/meta/small.jpg", "/absent.jpg"])
def test_watchdog_is_silent_about_plain_requests(edge: Attacked, target: str) -> None:
    assert edge.request(target).status in (200, 404)


def test_files_server_takes_an_upload_and_shows_it(files: Attacked) -> None:
    file = files.tenant("acme").upload()
    assert files.request(f"/fit-in/20x20/{file['key']}").status == 200
