"""Promises of `imgproxy.files.collections`."""

from __future__ import annotations

import pytest

from imgproxy.files.collections import DEFAULTS, choose, takes
from imgproxy.files.model import Visibility


def test_only_pictures_are_public_unless_said_otherwise() -> None:
    public = {name for name, each in DEFAULTS.items() if each.default_visibility is Visibility.PUBLIC}
    assert public == {"images", "avatars"}
    assert {each.default_visibility for each in DEFAULTS.values()} == {Visibility.PUBLIC, Visibility.PRIVATE}


@pytest.mark.parametrize(
    ("category", "mime_type", "expected"),
    [
        ("avatars", "image/png", "avatars"),
        ("avatars", "video/mp4", "avatars"),
        ("pets", "image/png", "images"),
        (None, "image/png", "images"),
        (None, "video/mp4", "media"),
        (None, "audio/ogg", "media"),
        (None, "text/plain", "documents"),
        (None, "application/pdf", "documents"),
        (None, "application/vnd.oasis.opendocument.text", "documents"),
        (None, "application/zip", "files"),
        (None, "font/woff2", "files"),
    ],
)
def test_an_upload_goes_where_its_category_or_else_its_type_says(
    category: str | None, mime_type: str, expected: str
) -> None:
    assert choose(DEFAULTS, category=category, mime_type=mime_type) == expected


@pytest.mark.parametrize(
    ("name", "mime_type", "expected"),
    [
        ("images", "image/svg+xml", True),
        ("images", "video/mp4", False),
        ("attachments", "application/pdf", True),
        ("attachments", "application/pdfx", False),
        ("files", "application/anything", True),
    ],
)
def test_a_collection_takes_the_types_that_it_names(name: str, mime_type: str, expected: bool) -> None:
    assert takes(DEFAULTS[name], mime_type) == expected


def test_temporary_files_can_be_restored_for_a_day_and_others_for_a_month() -> None:
    assert {each.retention for name, each in DEFAULTS.items() if name != "temp"} == {30 * 86_400}
    assert DEFAULTS["temp"].retention == 86_400
