"""Clients take turns, whoever came first and with however many jobs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from imgproxy.engine import line as module
from imgproxy.engine.line import Line


def line_of(*places: str) -> Line[str]:
    """A line of places such as `a1`, each of the client that its letter names."""
    line = Line[str]()
    for place in places:
        line.add(place, place[0])
    return line


def called_up(line: Line[str]) -> list[str]:
    return [line.call_up() for _ in range(len(line))]


def test_line_calls_clients_up_in_turns_and_their_places_in_order() -> None:
    line = line_of("a1", "a2", "a3", "b1", "b2", "c1")
    assert called_up(line) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_line_puts_a_newcomer_behind_one_place_of_each_other_client_at_most() -> None:
    line = line_of("a1", "a2", "a3", "b1", "b2")
    assert [line.call_up(), line.call_up()] == ["a1", "b1"]
    line.add("c1", "c")
    assert called_up(line) == ["c1", "a2", "b2", "a3"]


def test_line_counts_turns_of_clients_that_did_not_wait() -> None:
    line = Line[str]()
    line.serve("a")
    line.add("a1", "a")
    line.add("b1", "b")
    assert called_up(line) == ["b1", "a1"]


def test_line_lets_a_client_that_left_the_line_pay_nothing_for_what_it_gave_up() -> None:
    line = line_of("a1", "a2", "a3", "b1", "b2")
    for place in ("a1", "a2", "a3"):
        line.remove(place)
    line.add("a4", "a")
    assert called_up(line) == ["b1", "a4", "b2"]


def test_line_calls_a_place_of_two_clients_up_in_the_turn_that_comes_first() -> None:
    line = line_of("a1", "a2", "a3", "b1")
    line.join("a3", "b")
    line.join("a3", "c")
    line.join("a3", "c")
    line.join("not in line", "c")
    assert called_up(line) == ["a1", "b1", "a3", "a2"]


def test_line_calls_a_place_that_was_added_first_up_first() -> None:
    line = line_of("a1", "b1")
    line.call_up()
    line.add("a2", "a")
    line.add_first("a0", "a")
    assert called_up(line) == ["a0", "b1", "a2"]


def test_line_gives_the_last_place_of_the_longest_up_for_a_client_with_fewer() -> None:
    line = line_of("a1", "a2", "a3", "b1", "b2")
    assert line.give_way("c") == "a3"
    assert line.give_way("b") is None
    assert line.give_way("a") is None
    line.join("a3", "b")
    assert line.give_way("c") == "a2"
    for place in ("a1", "a2"):
        line.join(place, "b")
    assert line.give_way("c") in ("a3", "b2")
    assert line_of("a1", "b1").give_way("c") is None
    assert Line[str]().give_way("c") is None


def test_line_ends_a_round_though_newcomers_never_end() -> None:
    line = line_of("a1", "a2")
    served = []
    for number in range(module._ROUND + 4):
        line.add(f"newcomer {number}", [str(number)])
        served.append(line.call_up())
    assert "a2" in served
    assert len(line._served) <= module._ROUND


@given(st.lists(st.sampled_from(["add", "call up", "remove", "join"]), max_size=60), st.randoms())
def test_line_keeps_every_place_once_and_forgets_what_left(acts: list[str], random: object) -> None:
    line, inside, number = Line[int](), set[int](), 0
    choose = random.choice  # type: ignore[attr-defined]
    for act in acts:
        if act == "add":
            number += 1
            line.add(number, {choose("abc"), choose("abc")})
            inside.add(number)
        elif inside and act == "call up":
            inside.remove(line.call_up())
        elif inside and act == "remove":
            place = choose(sorted(inside))
            line.remove(place)
            inside.remove(place)
        elif inside:
            line.join(choose(sorted(inside)), choose("abc"))
        assert len(line) == len(inside)
        assert {*line._now, *line._next} == set(line._places)
        assert not set(line._now) & set(line._next)
    assert {line.call_up() for _ in range(len(line))} == inside
    assert not line._places
