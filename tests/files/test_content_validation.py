"""What a client says of its bytes, held against them."""

from __future__ import annotations

import pytest

from imgproxy.errors import FileTooLarge, FileTooSmall, InvalidFormat
from imgproxy.files.content_validation import agree, settle, weigh
from tests.files import samples

UNKNOWN = "application/octet-stream"


@pytest.mark.parametrize(
    ("said", "found", "kept"),
    [
        ("image/jpeg", "image/jpeg", "image/jpeg"),
        ("image/jpg", "image/jpeg", "image/jpeg"),
        ("IMAGE/JPEG; q=1", "image/jpeg", "image/jpeg"),
        (UNKNOWN, "image/png", "image/png"),
        (UNKNOWN, UNKNOWN, UNKNOWN),
        ("text/csv", "text/plain", "text/csv"),
        ("text/csv; charset=utf-8", "text/plain", "text/csv"),
        ("application/epub+zip", "application/zip", "application/epub+zip"),
        ("audio/mp4", "video/mp4", "audio/mp4"),
        ("application/x-thing", UNKNOWN, "application/x-thing"),
    ],
)
def test_the_bytes_decide_where_they_can(said: str, found: str, kept: str) -> None:
    assert settle(said, found) == kept


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("image/png", "image/jpeg"),
        ("image/png", "text/html"),
        ("image/png", UNKNOWN),
        ("application/pdf", "text/plain"),
        ("text/plain", "image/jpeg"),
        ("image/svg+xml", "text/html"),
    ],
)
def test_what_bytes_cannot_be_is_a_lie(said: str, found: str) -> None:
    with pytest.raises(InvalidFormat, match=said.replace("+", r"\+")):
        settle(said, found)


def test_a_size_is_the_file_s_or_a_lie() -> None:
    weigh(10, (10, 10))
    with pytest.raises(FileTooLarge):
        weigh(10, (10, 9))
    with pytest.raises(FileTooSmall):
        weigh(10, (11,))


def test_a_file_that_is_there_is_held_against_what_is_said_of_it() -> None:
    file = samples.file(mime_type="image/jpeg", size=10)
    agree(file, mime_type="image/jpg", size=10)
    with pytest.raises(InvalidFormat):
        agree(file, mime_type="image/png", size=10)
    with pytest.raises(FileTooLarge):
        agree(file, mime_type="image/jpeg", size=9)
