"""Parts become an object by S3's rules."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imgproxy.storage import MAX_PARTS, MIN_PART_BYTES, BadParts, Part
from imgproxy.storage.part_rules import require_part_number, select_parts

ONE, TWO, LAST = Part(1, '"a"', MIN_PART_BYTES), Part(2, '"b"', MIN_PART_BYTES), Part(9, '"c"', 1)
HELD = {part.number: part for part in (ONE, TWO, LAST)}


@pytest.mark.parametrize(
    "asked", [[ONE, TWO, LAST], [ONE, LAST], [LAST], [replace(ONE, etag="a", size=0), TWO]]
)
def test_what_is_asked_for_rightly_is_what_storage_holds(asked: list[Part]) -> None:
    assert select_parts(iter(asked), HELD) == [HELD[part.number] for part in asked]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ([], "at least one"),
        ([TWO, ONE], "not in order"),
        ([ONE, ONE], "not in order"),
        ([ONE, Part(3, '"a"', 1)], "part 3 is not"),
        ([replace(ONE, etag='"b"')], "part 1 is not"),
    ],
)
def test_what_is_asked_for_wrongly_is_refused(asked: list[Part], says: str) -> None:
    with pytest.raises(BadParts, match=says):
        select_parts(asked, HELD)


def test_only_the_last_may_be_small_whatever_the_client_says_of_sizes() -> None:
    small = {**HELD, 1: replace(ONE, size=MIN_PART_BYTES - 1)}
    assert select_parts([ONE], small) == [small[1]]
    with pytest.raises(BadParts, match="has at least"):
        select_parts([ONE, LAST], small)


@pytest.mark.parametrize("number", [0, -1, MAX_PARTS + 1])
def test_numbers_are_bounded(number: int) -> None:
    require_part_number(1)
    require_part_number(MAX_PARTS)
    with pytest.raises(BadParts):
        require_part_number(number)
