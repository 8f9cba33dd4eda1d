"""How much one caller may ask of us. (Bodies are sent to the door: see test_routes.)"""

from __future__ import annotations

from imgproxy.api.limits import Allowance, Rate
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
