"""How often one caller may ask, and guess."""

from __future__ import annotations

import pytest

from imgproxy.errors import RateLimited
from imgproxy.http.rate_limits import Allowance, Rate, WrongCredentials
from tests.api.shell import Clock


def test_a_minutes_requests_may_come_at_once_and_then_evenly() -> None:
    clock = Clock()
    rate = Rate(60, timer=clock)
    taken = [rate.take("olga") for _ in range(60)]
    assert [each.remaining for each in taken if each] == list(range(59, -1, -1))
    assert rate.take("olga") == Allowance(60, 0, retry_after=1)
    clock.now += 1
    assert rate.take("olga") == Allowance(60, 0)
    assert rate.take("olga") == Allowance(60, 0, retry_after=1)


def test_who_was_refused_has_lost_nothing() -> None:
    clock = Clock()
    rate = Rate(1, timer=clock)
    rate.take("olga")
    waits = [rate.take("olga") for _ in range(5)]
    assert {each.retry_after for each in waits if each} == {60}
    clock.now += 60
    assert rate.take("olga") == Allowance(1, 0)


def test_callers_do_not_count_for_one_another() -> None:
    rate = Rate(1, timer=Clock())
    rate.take("olga")
    assert rate.take("otto") == Allowance(1, 0)


def test_after_a_minute_of_silence_everything_is_there_again() -> None:
    clock = Clock()
    rate = Rate(600, timer=clock)
    for _ in range(600):
        rate.take("olga")
    clock.now += 60
    assert rate.take("olga") == Allowance(600, 599)


def test_where_nothing_is_counted_nothing_is_told() -> None:
    assert Rate(0, timer=Clock()).take("olga") is None


def test_what_is_left_is_told_in_headers() -> None:
    assert Allowance(60, 7).headers == {"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "7"}


def test_wait_is_what_take_would_say_and_takes_nothing() -> None:
    clock = Clock()
    rate = Rate(2, timer=clock)
    for _ in range(10):
        assert rate.wait("olga") == 0
    rate.take("olga")
    assert rate.wait("olga") == 0
    rate.take("olga")
    assert rate.wait("olga") == 30
    assert Rate(0, timer=clock).wait("olga") == 0


def test_wrong_credentials_lock_their_address_alone_for_some_seconds() -> None:
    clock = Clock()
    wrong = WrongCredentials(2, timer=clock)
    for _ in range(2):
        wrong.refuse_locked("mallory")
        wrong.wrong("mallory")
    with pytest.raises(RateLimited, match="come again in 30 s"):
        wrong.wrong("mallory")
    with pytest.raises(RateLimited, match="come again in 30 s"):
        wrong.refuse_locked("mallory")
    wrong.refuse_locked("olga")
    clock.now += 30
    wrong.refuse_locked("mallory")


def test_right_credential_keeps_its_address_open_for_an_hour() -> None:
    clock = Clock()
    wrong = WrongCredentials(1, timer=clock)
    wrong.right("olga")
    wrong.wrong("olga")
    wrong.refuse_locked("olga")
    clock.now += 3600
    wrong.wrong("olga")
    with pytest.raises(RateLimited):
        wrong.refuse_locked("olga")


def test_wrong_credentials_of_0_count_none() -> None:
    wrong = WrongCredentials(0)
    for _ in range(100):
        wrong.wrong("mallory")
    wrong.refuse_locked("mallory")
