"""A failure is remembered where it would happen again, and nowhere else."""

from __future__ import annotations

import pytest

from imgproxy import errors
from imgproxy.engine.negative_cache import NegativeCache


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def negative_cache(clock: Clock) -> NegativeCache:
    return NegativeCache(seconds=60, entries=2, timer=clock)


def test_nothing_is_refused_at_first(negative_cache: NegativeCache) -> None:
    negative_cache.check(source="a", job="a/1")


@pytest.mark.parametrize(
    "error",
    [
        errors.UnsupportedImage("not a type we read"),
        errors.BrokenImage("damaged"),
        errors.SourceTooLarge("too many bytes"),
    ],
)
def test_what_is_the_sources_fault_is_refused_whatever_is_asked_of_it(
    negative_cache: NegativeCache, error: errors.ImgproxyError
) -> None:
    negative_cache.add(error, source="a", job="a/1")
    with pytest.raises(type(error), match=str(error)):
        negative_cache.check(source="a", job="a/2")
    negative_cache.check(source="b", job="b/1")


@pytest.mark.parametrize(
    "error",
    [
        errors.ImageTooLarge("large"),
        errors.DeadlinePassed("slow"),
        errors.TransformFailed("it brought its worker down"),
    ],
)
def test_what_may_be_the_jobs_fault_is_remembered_of_the_job(
    negative_cache: NegativeCache, error: errors.ImgproxyError
) -> None:
    negative_cache.add(error, source="a", job="a/1")
    negative_cache.check(source="a", job="a/2")
    with pytest.raises(type(error), match=str(error)):
        negative_cache.check(source="a", job="a/1")


def test_too_many_large_pictures_do_not_condemn_their_source(negative_cache: NegativeCache) -> None:
    for job in ("a/1", "a/2", "a/3"):
        negative_cache.add(errors.ImageTooLarge("large"), source="a", job=job)
    negative_cache.check(source="a", job="a/4")


@pytest.mark.parametrize(
    "error", [errors.Overloaded("full"), errors.EngineFailed("ours"), errors.StorageSlow("slow")]
)
def test_what_may_pass_is_not_remembered(negative_cache: NegativeCache, error: errors.ImgproxyError) -> None:
    negative_cache.add(error, source="a", job="a/1")
    negative_cache.check(source="a", job="a/1")


def test_it_forgets_after_a_while(negative_cache: NegativeCache, clock: Clock) -> None:
    negative_cache.add(errors.UnsupportedImage("no"), source="a", job="a/1")
    clock.now = 61
    negative_cache.check(source="a", job="a/1")


def test_it_forgets_the_oldest_when_it_is_full(negative_cache: NegativeCache) -> None:
    for source in "abc":
        negative_cache.add(errors.UnsupportedImage("no"), source=source, job="x")
    negative_cache.check(source="a", job="a/1")
    with pytest.raises(errors.UnsupportedImage):
        negative_cache.check(source="c", job="c/1")


def test_an_error_raised_often_gathers_nothing(negative_cache: NegativeCache) -> None:
    negative_cache.add(errors.UnsupportedImage("no"), source="a", job="a/1")
    raised = []
    for _ in range(2):
        with pytest.raises(errors.UnsupportedImage) as caught:
            negative_cache.check(source="a", job="a/1")
        raised.append(caught.value)
    assert raised[0] is not raised[1]
