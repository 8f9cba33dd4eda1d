"""An age is the answer's affair, not the image's."""

from __future__ import annotations

import pytest

from tests.pictures import asked, canonical, gradient, made, refusal


def test_it_sets_the_seconds_and_nothing_is_something() -> None:
    assert asked("max_age(60)").options.max_age == 60
    assert asked("max_age(0)").options.max_age == 0
    assert asked().options.max_age is None


def test_it_changes_neither_the_image_nor_its_name() -> None:
    assert canonical("max_age(60)") == canonical()
    assert made(gradient(20, 20), "max_age(60)").data == made(gradient(20, 20)).data


@pytest.mark.parametrize(
    "text", ["max_age()", "max_age(-1)", "max_age(31536001)", "max_age(1.5)", "max_age(1h)"]
)
def test_what_is_out_of_bounds_is_refused(text: str) -> None:
    assert refusal(text).startswith("max_age: ")
