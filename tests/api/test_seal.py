"""Encryption of stored responses."""

from __future__ import annotations

import pytest

from imgproxy.api.seal import Seal

KEY, TEXT, PLACE = b"k" * 32, b"/-/staging/a?signature=b", b"acme"


def test_seal_open_returns_what_was_closed() -> None:
    assert Seal(KEY).open(Seal(KEY).close(TEXT, place=PLACE), place=PLACE) == TEXT


def test_seal_close_shows_nothing_of_the_text_and_never_the_same_twice() -> None:
    seal = Seal(KEY)
    one, two = seal.close(TEXT, place=PLACE), seal.close(TEXT, place=PLACE)
    assert one != two
    assert not any(TEXT[at : at + 4] in one for at in range(len(TEXT) - 3))


@pytest.mark.parametrize(
    ("key", "place", "sealed"),
    [
        (b"l" * 32, PLACE, None),
        (KEY, b"other", None),
        (KEY, PLACE, b""),
        (KEY, PLACE, b"short"),
        (KEY, PLACE, b"{}" * 40),
    ],
)
def test_seal_open_of_what_it_did_not_close_is_none(key: bytes, place: bytes, sealed: bytes | None) -> None:
    closed = Seal(KEY).close(TEXT, place=PLACE) if sealed is None else sealed
    assert Seal(key).open(closed, place=place) is None
