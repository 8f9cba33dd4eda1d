"""Every reader: what is cut off or scrambled is refused in our words, and the process lives on."""

from __future__ import annotations

import random

import pytest

from imgproxy.engine import readers
from imgproxy.errors import ImageError
from imgproxy.image.formats import READERS
from tests.engine.readers.files import pdf, pillowed, quarters
from tests.pictures import encoded, image, made, svg

FILES = {
    "jpeg": encoded(image(quarters(64, 48)), ".jpg"),
    "tiff": encoded(image(quarters(64, 48)), ".tif"),
    "svg": svg('<rect width="9" height="9"/>', 'width="64" height="48"'),
    "heic": pillowed(quarters(64, 48), "HEIF"),
    "bmp": pillowed(quarters(64, 48), "BMP"),
    "ico": pillowed(quarters(48, 48), "ICO", sizes=[(48, 48)], bitmap_format="bmp"),
    "jp2": pillowed(quarters(64, 48), "JPEG2000"),
    "jxl": pillowed(quarters(64, 48), "JXL"),
    "pdf": pdf(64, 48, "1 0 0 rg 0 0 9 9 re f"),
}


def test_all_are_the_readers_by_name() -> None:
    assert {reader.name: reader.formats for reader in readers.ALL} == READERS


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("share", [0.05, 0.25, 0.5, 0.75, 0.95])
def test_file_that_is_cut_off_is_shown_or_refused_in_our_words(kind: str, share: float) -> None:
    whole = FILES[kind]
    try:
        made(whole[: int(len(whole) * share)])
    except ImageError as error:
        assert "image" in str(error) or "original" in str(error)  # noqa: PT017  some can be shown


@pytest.mark.parametrize("kind", FILES)
def test_file_that_is_scrambled_is_shown_or_refused_in_our_words(kind: str) -> None:
    draw = random.Random(kind)  # noqa: S311  the same every time
    for _ in range(40):
        data = bytearray(FILES[kind])
        for _ in range(draw.randint(1, 12)):
            data[draw.randrange(8, len(data))] = draw.randrange(256)
        try:
            made(bytes(data), width=20)
        except ImageError as error:
            assert str(error)  # noqa: PT017  some can be shown
