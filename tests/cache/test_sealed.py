"""A file that is not whole, or not the one asked for, is never taken for a result."""

from __future__ import annotations

import pytest

from imgproxy.cache.key import ResultKey
from imgproxy.cache.sealed import Broken, Label, read_label, seal, unseal
from imgproxy.cache.tiers import Entry
from imgproxy.image.formats import Format

KEY, OTHER = ResultKey("1" * 32), ResultKey("2" * 32)
ENTRY = Entry(b"picture" * 10, "image/webp", Format.WEBP, ("a/ü.jpg", "mark.png"))
FILE = b"".join(seal(KEY, ENTRY))


@pytest.mark.parametrize(
    "entry",
    [
        ENTRY,
        Entry(b"", "application/json", None, ()),
        Entry(b"x", "image/png", Format.PNG, ("\udcff",)),
        Entry(b"x", "image/png", Format.PNG, ("a",), 1_800_000_000.25),
    ],
)
def test_what_was_sealed_is_unsealed(entry: Entry) -> None:
    assert unseal(KEY, b"".join(seal(KEY, entry))) == entry


def test_the_body_is_not_copied() -> None:
    assert seal(KEY, ENTRY)[1] is ENTRY.body


@pytest.mark.parametrize("position", range(len(FILE)))
def test_no_byte_can_be_altered(position: int) -> None:
    altered = bytearray(FILE)
    altered[position] ^= 0x10
    with pytest.raises(Broken):
        unseal(KEY, bytes(altered))


@pytest.mark.parametrize("length", range(len(FILE)))
def test_no_byte_can_be_missing(length: int) -> None:
    with pytest.raises(Broken):
        unseal(KEY, FILE[:length])


@pytest.mark.parametrize("foreign", [FILE + b"\0", b"\0" * len(FILE), b"\x89PNG\r\n\x1a\n" + b"\0" * 100])
def test_foreign_bytes_are_broken(foreign: bytes) -> None:
    with pytest.raises(Broken):
        unseal(KEY, foreign)


def test_a_file_under_another_key_is_broken() -> None:
    with pytest.raises(Broken):
        unseal(OTHER, FILE)


def test_a_type_that_a_later_version_may_know_is_broken() -> None:
    entry = Entry(b"x", "image/later", "later", ("a",))  # type: ignore[arg-type]
    with pytest.raises(Broken):
        unseal(KEY, b"".join(seal(KEY, entry)))


def test_the_label_is_read_from_the_beginning() -> None:
    assert read_label(FILE[:-10]) == Label(KEY, "image/webp", Format.WEBP, ("a/ü.jpg", "mark.png"), None)


def test_a_beginning_too_short_for_the_label_asks_for_more() -> None:
    assert read_label(FILE[:30]) is None
