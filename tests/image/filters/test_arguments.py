"""Arguments are read strictly, and each value has one text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgproxy.errors import BadArgument
from imgproxy.image.colour import Colour
from imgproxy.image.filters.arguments import (
    Argument,
    Integer,
    Number,
    Paint,
    Text,
    Word,
    number_text,
    parse_arguments,
    split_arguments,
)

PERCENT = Number("percent", -100, 100)
COUNT = Integer("count", 1, 10, 5)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        ("a,,b", ["a", "", "b"]),
        (",a", ["", "a"]),
        ("a,b,", ["a", "b"]),
        ("a,b,,", ["a", "b", ""]),
        (",", [""]),
        ("f(a,b),c", ["f(a,b)", "c"]),
        ("f(g(a,b),c),d", ["f(g(a,b),c)", "d"]),
        ("a(,b", ["a(,b"]),
        ("a),b", ["a),b"]),
    ],
)
def test_commas_outside_parentheses_separate(text: str, parts: list[str]) -> None:
    assert split_arguments(text) == parts


@given(st.lists(st.text("ab1. ", min_size=1), min_size=1))
def test_what_was_joined_is_taken_apart(parts: list[str]) -> None:
    assert split_arguments(",".join(parts)) == parts


@pytest.mark.parametrize(
    ("argument", "text", "value"),
    [
        (PERCENT, "50", 50.0),
        (PERCENT, "-0.5", -0.5),
        (PERCENT, "+1e1", 10.0),
        (COUNT, "10", 10),
        (Integer("n", -5, 5), "-5", -5),
        (Word("w", ("true", "1")), "true", "true"),
        (Text("t"), "a%20b+c", "a b+c"),
        (Paint("c", ("auto",)), "auto", "auto"),
        (Paint("c"), "%66ff", Colour(255, 255, 255)),
    ],
)
def test_what_is_expected_is_read(argument: Argument, text: str, value: object) -> None:
    assert argument.parse(text, "x") == value


@pytest.mark.parametrize(
    ("argument", "text", "complaint"),
    [
        (PERCENT, "100.1", "x: a number from -100 to 100 is expected, not '100.1'"),
        (PERCENT, "nan", "x: a number from -100"),
        (PERCENT, "inf", "x: a number from -100"),
        (PERCENT, "1_0", "x: a number from -100"),
        (PERCENT, "٣", "x: a number from -100"),
        (PERCENT, "0x10", "x: a number from -100"),
        (Number("n"), "a", "x: a number of any size is expected"),
        (Number("n"), "1e999", "x: a number of any size is expected"),
        (Number("n", 0), "-1", "x: a number of at least 0 is expected"),
        (COUNT, "0", "x: a whole number from 1 to 10 is expected, not '0'"),
        (COUNT, "1.0", "x: a whole number"),
        (COUNT, "--1", "x: a whole number"),
        (COUNT, "+1", "x: a whole number"),
        (COUNT, "-", "x: a whole number"),
        (COUNT, "²", "x: a whole number"),
        (COUNT, "1" * 5000, "x: a whole number"),
        (Word("w", ("true", "1")), "yes", "x: one of true, 1 is expected, not 'yes'"),
        (Text("t", 3), "abcd", "x: at most 3 characters are expected"),
        (Paint("c", ("auto",)), "blur", "x: a colour name"),
    ],
)
def test_what_is_not_expected_is_refused_by_name(argument: Argument, text: str, complaint: str) -> None:
    with pytest.raises(BadArgument) as refusal:
        argument.parse(text, "x")
    assert str(refusal.value).startswith(complaint)


@given(st.text(max_size=12))
def test_any_text_is_read_or_refused(text: str) -> None:
    for argument in (PERCENT, COUNT, Word("w", ("a",)), Text("t", 5), Paint("c")):
        try:
            value = argument.parse(text, "x")
        except BadArgument:
            continue
        assert argument.text(value) == argument.text(argument.parse(text, "x"))


@given(st.floats(-1000, 1000).map(lambda value: round(value, 2)))
def test_a_number_is_written_so_that_it_reads_the_same(value: float) -> None:
    assert Number("n").parse(number_text(value), "x") == value


@pytest.mark.parametrize(
    ("value", "text"),
    [(80.0, "80"), (0.5, "0.5"), (-1.25, "-1.25"), (0, "0"), (-0.0, "0"), (0.1 + 0.2, "0.3")],
)
def test_numbers_have_their_shortest_text(value: float, text: str) -> None:
    assert number_text(value) == text


def test_no_two_numbers_of_a_url_have_one_text() -> None:
    assert number_text(0.1234567) != number_text(0.1234568)
    assert number_text(253_402_300_799_000) == "253402300799000"


def test_only_lengths_grow_with_the_density() -> None:
    assert Number("n", scales=True).scaled(1.5, 2) == 3
    assert Number("n").scaled(1.5, 2) == 1.5
    assert Integer("n", scales=True).scaled(5, 1.5) == 8
    assert Word("w", ("a",)).scaled("a", 2) == "a"


def test_arguments_left_out_take_their_defaults() -> None:
    declared = (COUNT, Word("w", ("a",), None), PERCENT)
    assert parse_arguments("f", declared, ",,3") == (5, None, 3)
    assert parse_arguments("f", declared[:2], "") == (5, None)
    assert parse_arguments("f", declared, " 2 , a , 3 ") == (2, "a", 3)


@pytest.mark.parametrize(
    ("declared", "text", "complaint"),
    [
        ((PERCENT,), "", "f: the argument percent is missing"),
        ((PERCENT,), ",", "f: the argument percent is missing"),
        ((PERCENT,), "a", "f: percent: a number"),
        ((), "1", "f: no arguments are expected, 1 given"),
        ((PERCENT,), "1,2", "f: one argument is expected, 2 given"),
        ((PERCENT, COUNT), "1,2,3", "f: at most 2 arguments are expected, 3 given"),
    ],
)
def test_the_filter_and_the_argument_are_named(
    declared: tuple[Argument, ...], text: str, complaint: str
) -> None:
    with pytest.raises(BadArgument) as refusal:
        parse_arguments("f", declared, text)
    assert str(refusal.value).startswith(complaint)
