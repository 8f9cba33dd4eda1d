"""An expiry is the answer's affair, not the image's."""

from __future__ import annotations

import pytest

from tests.pictures import asked, canonical, gradient, made, refusal


def test_it_sets_the_moment() -> None:
    assert asked("expire(1700000000000)").options.expire == 1_700_000_000_000
    assert asked("expire(0)").options.expire == 0


def test_it_changes_neither_the_image_nor_its_name() -> None:
    assert canonical("expire(1)") == canonical()
    assert made(gradient(20, 20), "expire(1)").data == made(gradient(20, 20)).data


@pytest.mark.parametrize(
    "text", ["expire()", "expire(-1)", "expire(1.5)", "expire(tomorrow)", f"expire({10**15})"]
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    assert refusal(text).startswith("expire: ")
