"""An image to save is the same image; only the answer's headers know of it."""

from __future__ import annotations

from tests.pictures import asked, canonical, gradient, made, refusal


def test_it_sets_the_name_and_without_one_leaves_it_to_the_server() -> None:
    assert asked("attachment(holiday.jpg)").options.attachment == "holiday.jpg"
    assert asked("attachment(a%20b)").options.attachment == "a b"
    assert asked("attachment()").options.attachment == ""
    assert asked().options.attachment is None


def test_it_changes_neither_the_image_nor_its_name() -> None:
    assert canonical("attachment(a)") == canonical()
    assert made(gradient(20, 20), "attachment(a)").data == made(gradient(20, 20)).data


def test_a_name_is_at_most_200_characters_long() -> None:
    assert refusal(f"attachment({'a' * 201})").startswith("attachment: name: at most 200")
