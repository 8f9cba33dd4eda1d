"""Headers of a download: its type, and whether a browser may show it in place."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imgproxy.files.disposition import content_disposition, content_type
from tests.files import samples

SHOWN = ["image/jpeg", "application/pdf", "text/plain; charset=utf-8", "video/mp4", "IMAGE/PNG"]
ACTIVE = [
    "text/html",
    "Text/HTML; charset=utf-8",
    "application/xhtml+xml",
    "text/javascript",
    "application/javascript",
    "application/x-javascript",
    "text/ecmascript",
    "text/javascript1.5",
    "text/jscript",
    "text/xml",
    "application/xml",
    "application/rss+xml",
    "application/xslt+xml",
    "text/xsl",
    "text/css",
]
SVG = ["image/svg+xml", "image/svg+xml; charset=utf-8", "IMAGE/SVG+XML", "image/svg"]
OTHER = ["application/octet-stream", "application/zip", "text/csv", "application/json", "text/markdown"]


@pytest.mark.parametrize("mime", SHOWN)
def test_content_disposition_is_inline_if_wanted(mime: str) -> None:
    file = samples.file(mime_type=mime, original_name="cat")
    assert content_disposition(file, "inline") == 'inline; filename="cat"'
    assert content_disposition(file, "attachment") == 'attachment; filename="cat"'
    assert content_type(file) == mime


@pytest.mark.parametrize("mime", [*ACTIVE, *SVG, *OTHER])
def test_content_disposition_of_what_a_browser_could_run_or_cannot_show_is_attachment(mime: str) -> None:
    file = samples.file(mime_type=mime, original_name="cat")
    assert content_disposition(file, "inline") == 'attachment; filename="cat"'


@pytest.mark.parametrize("mime", ACTIVE)
def test_content_type_of_what_a_browser_could_run_is_octet_stream(mime: str) -> None:
    assert content_type(samples.file(mime_type=mime)) == "application/octet-stream"


@pytest.mark.parametrize("mime", [*SVG, *OTHER])
def test_content_type_of_anything_else_is_its_own(mime: str) -> None:
    assert content_type(samples.file(mime_type=mime)) == mime


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cat.jpg", 'filename="cat.jpg"'),
        ("Été.jpg", "filename=\"Ete.jpg\"; filename*=UTF-8''%C3%89t%C3%A9.jpg"),
        ('a";b.jpg', "filename=\"a__b.jpg\"; filename*=UTF-8''a%22%3Bb.jpg"),
        ("猫", "filename=\"file\"; filename*=UTF-8''%E7%8C%AB"),
    ],
)
def test_names_are_told_so_that_any_client_reads_them(name: str, expected: str) -> None:
    file = replace(samples.file(), original_name=name)
    assert content_disposition(file, "attachment") == f"attachment; {expected}"
