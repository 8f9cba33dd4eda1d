"""Clients take turns, whoever came first and with however many jobs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from imgproxy.engine import fair_queue as module
from imgproxy.engine.fair_queue import FairQueue


def queue_of(*items: str) -> FairQueue[str]:
    """A queue of items such as `a1`, each of the client that its letter names."""
    queue = FairQueue[str]()
    for item in items:
        queue.add(item, item[0])
    return queue


def popped(queue: FairQueue[str]) -> list[str]:
    return [queue.pop() for _ in range(len(queue))]


def test_fair_queue_calls_clients_up_in_turns_and_their_places_in_order() -> None:
    queue = queue_of("a1", "a2", "a3", "b1", "b2", "c1")
    assert popped(queue) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_fair_queue_puts_a_newcomer_behind_one_item_of_each_other_client_at_most() -> None:
    queue = queue_of("a1", "a2", "a3", "b1", "b2")
    assert [queue.pop(), queue.pop()] == ["a1", "b1"]
    queue.add("c1", "c")
    assert popped(queue) == ["c1", "a2", "b2", "a3"]


def test_fair_queue_counts_turns_of_clients_that_did_not_wait() -> None:
    queue = FairQueue[str]()
    queue.count_turn("a")
    queue.add("a1", "a")
    queue.add("b1", "b")
    assert popped(queue) == ["b1", "a1"]


def test_fair_queue_lets_a_client_that_left_the_line_pay_nothing_for_what_it_gave_up() -> None:
    queue = queue_of("a1", "a2", "a3", "b1", "b2")
    for item in ("a1", "a2", "a3"):
        queue.remove(item)
    queue.add("a4", "a")
    assert popped(queue) == ["b1", "a4", "b2"]


def test_fair_queue_calls_a_item_of_two_clients_up_in_the_turn_that_comes_first() -> None:
    queue = queue_of("a1", "a2", "a3", "b1")
    queue.join("a3", "b")
    queue.join("a3", "c")
    queue.join("a3", "c")
    queue.join("not in queue", "c")
    assert popped(queue) == ["a1", "b1", "a3", "a2"]


def test_fair_queue_calls_a_item_that_was_added_first_up_first() -> None:
    queue = queue_of("a1", "b1")
    queue.pop()
    queue.add("a2", "a")
    queue.add_first("a0", "a")
    assert popped(queue) == ["a0", "b1", "a2"]


def test_fair_queue_gives_the_last_item_of_the_longest_up_for_a_client_with_fewer() -> None:
    queue = queue_of("a1", "a2", "a3", "b1", "b2")
    assert queue.evictable("c") == "a3"
    assert queue.evictable("b") is None
    assert queue.evictable("a") is None
    queue.join("a3", "b")
    assert queue.evictable("c") == "a2"
    for item in ("a1", "a2"):
        queue.join(item, "b")
    assert queue.evictable("c") in ("a3", "b2")
    assert queue_of("a1", "b1").evictable("c") is None
    assert FairQueue[str]().evictable("c") is None


def test_fair_queue_ends_a_round_though_newcomers_never_end() -> None:
    queue = queue_of("a1", "a2")
    served = []
    for number in range(module._ROUND + 4):
        queue.add(f"newcomer {number}", [str(number)])
        served.append(queue.pop())
    assert "a2" in served
    assert len(queue._served) <= module._ROUND


@given(st.lists(st.sampled_from(["add", "pop", "remove", "join"]), max_size=60), st.randoms())
def test_fair_queue_keeps_every_item_once_and_forgets_what_left(acts: list[str], random: object) -> None:
    queue, inside, number = FairQueue[int](), set[int](), 0
    choose = random.choice  # type: ignore[attr-defined]
    for act in acts:
        if act == "add":
            number += 1
            queue.add(number, {choose("abc"), choose("abc")})
            inside.add(number)
        elif inside and act == "pop":
            inside.remove(queue.pop())
        elif inside and act == "remove":
            item = choose(sorted(inside))
            queue.remove(item)
            inside.remove(item)
        elif inside:
            queue.join(choose(sorted(inside)), choose("abc"))
        assert len(queue) == len(inside)
        assert {*queue._now, *queue._next} == set(queue._items)
        assert not set(queue._now) & set(queue._next)
    assert {queue.pop() for _ in range(len(queue))} == inside
    assert not queue._items
