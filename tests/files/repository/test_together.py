"""A page is the first places after one, whatever order they are found in."""

from __future__ import annotations

import pytest

from imgproxy.files.cursor import Place
from imgproxy.files.repository.together import page

FOUND = [(2, "b"), (1, "z"), (2, "a"), (3, "a")]
"""Two at one value: their ids decide."""


@pytest.mark.parametrize(
    ("descending", "after", "places"),
    [
        (False, None, [(1, "z"), (2, "a"), (2, "b")]),
        (True, None, [(3, "a"), (2, "b"), (2, "a")]),
        (False, Place(2, "a"), [(2, "b"), (3, "a")]),
        (True, Place(2, "b"), [(2, "a"), (1, "z")]),
        (True, Place(1, "z"), []),
    ],
)
def test_a_page_begins_after_a_place_and_has_as_many_as_are_wanted(
    descending: bool, after: Place | None, places: list[tuple[int, str]]
) -> None:
    assert page(FOUND, after, 3, descending=descending) == places
