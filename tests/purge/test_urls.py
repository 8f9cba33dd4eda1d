"""Targets by key, and caches that are told to forget them."""

from __future__ import annotations

import asyncio

import pytest

from imgproxy.errors import Unavailable
from imgproxy.image.source import Key
from imgproxy.purge.cdn import CdnPurger
from imgproxy.purge.urls import ServedUrls, UrlPurger

A, B = Key("a.jpg"), Key("b.jpg")


class FakeCdnPurger(CdnPurger):
    """Remembers what it was told, and fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        super().__init__([])
        self.failures = failures
        self.told: list[str] = []
        self.done = asyncio.Event()

    async def forget_targets(self, targets: object) -> None:
        if self.failures:
            self.failures -= 1
            raise Unavailable("away")
        assert isinstance(targets, list)
        self.told += targets
        self.done.set()


def test_answered_targets_knows_each_target_once_by_every_key() -> None:
    targets = ServedUrls()
    for key, target in ((A, "/a.jpg"), (A, "/8x8/a.jpg"), (A, "/a.jpg"), (B, "/8x8/a.jpg")):
        targets.note(key, target)
    assert targets.of(A) == ["/8x8/a.jpg", "/a.jpg"]
    assert targets.of(B) == ["/8x8/a.jpg"]
    targets.forget(A, "/a.jpg", "/8x8/a.jpg", "/unknown")
    assert (targets.of(A), targets.of(B)) == ([], ["/8x8/a.jpg"])


def test_answered_targets_of_long_targets_are_fewer() -> None:
    targets = ServedUrls(4)
    for number in range(4):
        targets.note(A, f"/{number}{'x' * 2_000}")
    assert [target[:2] for target in targets.of(A)] == ["/2", "/3"]
    targets.forget(A, *targets.of(A))
    targets.note(B, "/4")
    assert targets.of(B) == ["/4"]


def test_answered_targets_drops_the_least_recently_answered() -> None:
    targets = ServedUrls(2)
    targets.note(A, "/1")
    targets.note(A, "/2")
    targets.note(A, "/1")
    targets.note(B, "/3")
    assert (targets.of(A), targets.of(B)) == (["/1"], ["/3"])


async def test_target_purge_tells_all_targets_and_forgets_them() -> None:
    targets, caches = ServedUrls(), FakeCdnPurger()
    purge = UrlPurger(caches, targets)
    targets.note(A, "/1")
    targets.note(B, "/2")
    purge.spawn(A)
    targets.note(A, "/new")
    await asyncio.wait_for(caches.done.wait(), 5)
    await purge.close()
    assert (caches.told, targets.of(A), targets.of(B)) == (["/1"], ["/new"], ["/2"])


async def test_target_purge_tries_again() -> None:
    targets, caches = ServedUrls(), FakeCdnPurger(failures=2)
    purge = UrlPurger(caches, targets, pauses=(0, 0))
    targets.note(A, "/1")
    purge.spawn(A)
    await asyncio.wait_for(caches.done.wait(), 5)
    await purge.close()
    assert caches.told == ["/1"]


async def test_target_purge_that_fails_for_good_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    targets, caches = ServedUrls(), FakeCdnPurger(failures=9)
    purge = UrlPurger(caches, targets, pauses=())
    targets.note(A, "/1")
    purge.spawn(A)
    for _ in range(9):
        await asyncio.sleep(0)
    await purge.close()
    assert "1 URLs of 'a.jpg' may stay in a cache in front: away" in caplog.text
