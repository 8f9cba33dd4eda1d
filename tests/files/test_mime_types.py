"""A file goes by a type that its bytes bear out."""

from __future__ import annotations

import pytest

from imgproxy.errors import FileTooLarge, FileTooSmall, InvalidFormat
from imgproxy.files.mime_types import agree, compatible, settle, weigh
from imgproxy.files.sniff import EXECUTABLE, UNKNOWN
from tests.files import samples

IMAGES = ("image/jpeg", "image/png", "image/webp", "image/avif", "image/heic", "image/gif", "image/tiff")
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
HOSTILE = (
    "text/html",
    "image/svg+xml",
    "application/xml",
    "text/plain",
    EXECUTABLE,
    UNKNOWN,
    "application/zip",
)


@pytest.mark.parametrize(
    ("declared", "sniffed"),
    [
        *((image, image) for image in IMAGES),
        ("image/jpg", "image/jpeg"),
        ("IMAGE/JPEG", "image/jpeg"),
        ("image/heif", "image/heic"),
        ("image/bmp", "image/x-ms-bmp"),
        ("image/x-canon-cr2", "image/tiff"),
        ("image/svg+xml", "image/svg+xml"),
        ("text/csv", "text/plain"),
        ("text/csv; charset=utf-8", "text/plain"),
        ("application/csv", "text/plain"),
        ("application/vnd.ms-excel", "text/plain"),
        ("application/json", "text/plain"),
        ("application/ld+json", "text/plain"),
        ("application/x-ndjson", "text/plain"),
        ("text/markdown", "text/plain"),
        ("text/markdown", "text/html"),
        ("text/markdown", "application/xml"),
        ("text/plain", "image/svg+xml"),
        ("text/html", "text/html"),
        ("text/html", "text/plain"),
        ("text/javascript", "text/plain"),
        ("application/javascript", "text/plain"),
        ("text/xml", "application/xml"),
        ("application/rss+xml", "application/xml"),
        ("application/pdf", "application/pdf"),
        (DOCX, DOCX),
        (DOCX, "application/zip"),
        ("application/zip", DOCX),
        ("application/x-zip-compressed", "application/zip"),
        ("application/epub+zip", "application/zip"),
        ("application/msword", "application/x-ole-storage"),
        ("application/vnd.ms-excel", "application/x-ole-storage"),
        ("text/rtf", "application/rtf"),
        ("audio/mp3", "audio/mpeg"),
        ("audio/x-m4a", "video/mp4"),
        ("audio/webm", "video/webm"),
        ("video/webm", "video/x-matroska"),
        ("video/ogg", "application/ogg"),
        ("video/mp4", "video/quicktime"),
        ("font/woff2", "font/woff2"),
        ("application/x-blender", UNKNOWN),
        ("application/octet-stream", EXECUTABLE),
        ("application/octet-stream", "text/html"),
        ("application/octet-stream", UNKNOWN),
    ],
)
def test_what_bytes_bear_out_is_taken(declared: str, sniffed: str) -> None:
    assert compatible(declared, sniffed)


@pytest.mark.parametrize("declared", IMAGES)
@pytest.mark.parametrize("sniffed", [*HOSTILE, *IMAGES])
def test_nothing_is_an_image_but_that_image(declared: str, sniffed: str) -> None:
    assert compatible(declared, sniffed) is (declared == sniffed)


@pytest.mark.parametrize(
    "declared",
    [
        *IMAGES,
        "text/plain",
        "application/pdf",
        "application/zip",
        "video/mp4",
        "application/x-anything",
        EXECUTABLE,
    ],
)
def test_a_program_is_nothing_but_bytes(declared: str) -> None:
    assert not compatible(declared, EXECUTABLE)


@pytest.mark.parametrize(
    ("declared", "sniffed"),
    [
        ("image/svg+xml", "text/html"),
        ("image/svg+xml", "text/plain"),
        ("image/svg+xml", "application/xml"),
        ("text/html", "image/svg+xml"),
        ("text/html", "application/xml"),
        ("text/rtf", "text/plain"),
        ("application/json", "text/html"),
        ("application/pdf", "text/html"),
        ("application/pdf", "text/plain"),
        ("application/pdf", UNKNOWN),
        ("text/plain", UNKNOWN),
        ("text/plain", "image/png"),
        ("application/zip", "text/plain"),
        ("video/mp4", "text/html"),
        ("video/mp4", UNKNOWN),
        ("audio/mpeg", "text/html"),
        ("application/msword", "application/zip"),
        ("application/x-anything", "text/html"),
        (DOCX, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (DOCX, UNKNOWN),
        ("", "image/png"),
    ],
)
def test_what_bytes_belie_is_refused(declared: str, sniffed: str) -> None:
    assert not compatible(declared, sniffed)


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
