"""A file that is not whole, or of another key, is not decoded."""

from __future__ import annotations

import pytest

from imgproxy.cache.entry_format import decode, encode
from imgproxy.cache.key import ResultKey
from imgproxy.cache.tiers import Entry
from imgproxy.image.formats import Format

KEY, OTHER = ResultKey("1" * 32), ResultKey("2" * 32)
ENTRY = Entry(b"picture" * 10, "image/webp", Format.WEBP, ("a/ü.jpg", "mark.png"))
FILE = b"".join(encode(KEY, ENTRY))


@pytest.mark.parametrize(
    "entry",
    [
        ENTRY,
        Entry(b"", "application/json", None, ()),
        Entry(b"x", "image/png", Format.PNG, ("\udcff",)),
        Entry(b"x", "image/png", Format.PNG, ("a",), 1_800_000_000.25),
    ],
)
def test_decode_returns_what_encode_was_given(entry: Entry) -> None:
    assert decode(KEY, b"".join(encode(KEY, entry))) == entry


def test_encode_does_not_copy_the_body() -> None:
    assert encode(KEY, ENTRY)[1] is ENTRY.body


@pytest.mark.parametrize("position", range(len(FILE)))
def test_decode_with_an_altered_byte_returns_none(position: int) -> None:
    altered = bytearray(FILE)
    altered[position] ^= 0x10
    assert decode(KEY, bytes(altered)) is None


@pytest.mark.parametrize("length", range(len(FILE)))
def test_decode_of_a_truncated_file_returns_none(length: int) -> None:
    assert decode(KEY, FILE[:length]) is None


@pytest.mark.parametrize("foreign", [FILE + b"\0", b"\0" * len(FILE), b"\x89PNG\r\n\x1a\n" + b"\0" * 100])
def test_decode_of_foreign_bytes_returns_none(foreign: bytes) -> None:
    assert decode(KEY, foreign) is None


def test_decode_with_another_key_returns_none() -> None:
    assert decode(OTHER, FILE) is None


def test_decode_of_an_unknown_format_returns_none() -> None:
    entry = Entry(b"x", "image/later", "later", ("a",))  # type: ignore[arg-type]
    assert decode(KEY, b"".join(encode(KEY, entry))) is None
