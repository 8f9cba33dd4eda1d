"""Options have one text, which holds what changes the image and nothing else."""

from __future__ import annotations

import pytest

from imgproxy.image.formats import Format
from imgproxy.image.gravity import Region
from imgproxy.image.options import Options


def test_nothing_asked_has_no_text() -> None:
    assert Options().canonical() == ""


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (Options(format=Format.WEBP, quality=80), "format(webp):quality(80)"),
        (Options(focal=(Region(0.5, 0.25, 1, 1), Region(1, 2, 3, 4))), "focal(0.5x0.25:1x1+1x2:3x4)"),
        (Options(focal=(Region(0.1234567, 0, 1, 1),)), "focal(0.1234567x0:1x1)"),
        (Options(page=2, max_frames=1), "page(2):max_frames(1)"),
        (Options(strip_exif=True), "strip_exif(True)"),
        (Options(max_bytes=10_000), "max_bytes(10000)"),
    ],
)
def test_what_changes_the_image_is_in_the_text(options: Options, text: str) -> None:
    assert options.canonical() == text


def test_what_changes_only_the_answers_headers_is_not() -> None:
    assert Options(max_age=1, expire=2, attachment="a").canonical() == ""
