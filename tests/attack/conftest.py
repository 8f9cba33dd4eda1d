"""Servers to attack, and the bound of every attack: the event loop is never held over 50 ms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.attack.server import JPEG, WATCHDOGS, Attacked, Tenant, attacked
from tests.attack.watchdog import LONGEST_SECONDS
from tests.pictures import encoded, noise

Serve = Callable[..., Attacked]


@pytest.fixture(autouse=True)
def watchdog() -> Iterator[None]:
    """Assert that no server's loop was held too long during the test."""
    for each in WATCHDOGS:
        each.reset()
    yield
    worst = max(WATCHDOGS, key=lambda each: each.longest, default=None)
    WATCHDOGS[:] = [each for each in WATCHDOGS if each.running]
    if worst is not None and worst.longest > LONGEST_SECONDS:
        pytest.fail(f"the loop was held for {worst.longest * 1000:.0f} ms of CPU time by\n{worst.where}")


@pytest.fixture(scope="package")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """A server of unregistered images: `photo.jpg` (600×400) and `small.jpg` (64×48)."""
    with attacked(tmp_path_factory.mktemp("edge"), unregistered="public") as server:
        server.store("photo.jpg", encoded(noise(600, 400), ".jpg"))
        server.store("small.jpg", JPEG)
        yield server


@pytest.fixture(scope="package")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """A server of registered files alone."""
    with attacked(tmp_path_factory.mktemp("files")) as server:
        yield server


@pytest.fixture(scope="package")
def acme(files: Attacked) -> Tenant:
    """A tenant of `files`."""
    return files.tenant("acme")


@pytest.fixture(scope="package")
def other(files: Attacked) -> Tenant:
    """Another tenant of `files`."""
    return files.tenant("other")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start servers with settings of the test's own: `serve(max_cost=1)`; each takes about a second."""
    with ExitStack() as servers:

        def start(**chosen: object) -> Attacked:
            folder = tmp_path / f"server{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            return servers.enter_context(attacked(folder, **chosen))

        yield start
