"""What was asked for of late stays, within bounds."""

from __future__ import annotations

from imgproxy.files.recent import Recent


def recent(entries: int, keys: str = "") -> Recent[str, str]:
    made: Recent[str, str] = Recent(entries)
    for key in keys:
        made.put(key, key.upper())
    return made


def test_what_is_put_is_there_and_nothing_else() -> None:
    made = recent(10, "ab")
    assert (made.get("a"), made.get("b"), made.get("c")) == ("A", "B", None)


def test_it_never_holds_more_than_it_may() -> None:
    made = recent(4)
    sizes = []
    for number in range(100):
        made.put(str(number), "x")
        sizes.append(len(made))
    assert max(sizes) == 4


def test_what_is_asked_for_stays_while_others_go() -> None:
    made = recent(4, "a")
    for number in range(100):
        made.put(str(number), "x")
        assert made.get("a") == "A"


def test_what_nobody_asks_for_goes() -> None:
    assert recent(4, "abcdefg").get("a") is None


def test_the_last_word_counts_wherever_the_one_before_was() -> None:
    made = recent(4, "abc")  # a and b are in the older half
    made.put("a", "again")
    made.put("c", "again")
    assert (made.get("a"), made.get("c"), len(made)) == ("again", "again", 3)


def test_what_is_forgotten_is_told_and_gone() -> None:
    made = recent(4, "abc")
    assert (made.pop("a"), made.pop("c"), made.pop("a")) == ("A", "C", None)
    assert (made.get("a"), made.get("c"), len(made)) == (None, None, 1)


def test_everything_can_be_forgotten() -> None:
    made = recent(4, "abc")
    made.clear()
    assert (made.get("a"), made.get("c"), len(made)) == (None, None, 0)
