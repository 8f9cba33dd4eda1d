"""Metadata goes, pixels stay; whatever the bytes are, the result is not longer and comes soon."""

from __future__ import annotations

import random
import time
import zlib

import numpy
import pytest

from imgproxy.engine.strip_metadata import render, strip
from imgproxy.engine.strip_metadata.numbers import MOST_PARTS
from imgproxy.errors import BrokenImage, UnsupportedImage
from imgproxy.image.formats import STRIPPED, Format
from tests.engine.strip_metadata.samples import GPS, ORIENTATION, SAMPLES, SECRET, pixels, read_exif
from tests.pictures import descriptor

_TURNED = ("jpeg", "progressive jpeg", "png", "webp", "tiff", "avif")


def test_samples_hold_every_type_that_is_stripped() -> None:
    assert {format_ for format_, _ in SAMPLES.values()} == set(STRIPPED)


@pytest.mark.parametrize("name", SAMPLES)
def test_strip_removes_metadata_and_touches_no_pixel(name: str) -> None:
    format_, data = SAMPLES[name]
    told, stripped = strip(data)
    assert told is format_
    assert SECRET in data
    assert SECRET not in stripped
    assert len(stripped) <= len(data)
    assert numpy.array_equal(pixels(stripped), pixels(data))
    assert GPS not in read_exif(stripped)


@pytest.mark.parametrize("name", _TURNED)
def test_strip_keeps_the_orientation(name: str) -> None:
    _, data = SAMPLES[name]
    assert read_exif(strip(data)[1]).get(ORIENTATION) == read_exif(data)[ORIENTATION]


@pytest.mark.parametrize("name", SAMPLES)
def test_strip_finds_nothing_the_second_time(name: str) -> None:
    once = strip(SAMPLES[name][1])[1]
    assert strip(once)[1] == once


@pytest.mark.parametrize("name", SAMPLES)
def test_strip_of_damaged_bytes_is_refused_or_no_longer(name: str) -> None:
    """Mutations of every part, cuts and repeats: no other error, no hang."""
    _, data = SAMPLES[name]
    lots = random.Random(name)  # noqa: S311
    head = min(len(data), 600)
    begun = time.process_time()
    for _ in range(400):
        mutated = bytearray(data)
        for _ in range(lots.randrange(1, 5)):
            at = lots.randrange(head if lots.random() < 0.8 else len(data))
            mutated[at] = lots.choice((0, 1, 0x7F, 0x80, 0xFF, lots.randrange(256)))
        if lots.random() < 0.3:
            del mutated[lots.randrange(len(mutated)) :]
        if lots.random() < 0.1:
            at = lots.randrange(len(data))
            mutated[at:at] = data[at : at + lots.randrange(100)]
        try:
            stripped = strip(bytes(mutated))[1]
        except (BrokenImage, UnsupportedImage):
            continue
        assert len(stripped) <= len(mutated)
    assert time.process_time() - begun < 20


_TINY = MOST_PARTS + 10


def _png_of_tiny_chunks() -> bytes:
    chunk = bytes(4) + b"tEXt" + zlib.crc32(b"tEXt").to_bytes(4, "big")
    return SAMPLES["png"][1][:33] + chunk * _TINY


def _heif_of_items(count: int, extents: int) -> bytes:
    """A file whose items have extents of no bytes."""
    item = b"\0\1\0\0" + extents.to_bytes(2, "big")
    iloc = b"iloc" + bytes(6) + count.to_bytes(2, "big") + item * count
    boxes = b"".join((len(each) + 4).to_bytes(4, "big") + each for each in (b"iinf" + bytes(6), iloc))
    meta = b"meta" + bytes(4) + boxes
    return b"\0\0\0\x10ftypheic\0\0\0\0" + (len(meta) + 4).to_bytes(4, "big") + meta


def _tiff(*entries: tuple[int, int, int, int]) -> bytes:
    """A TIFF of these tags, types, counts and offsets, with zeros behind it."""
    widths = (2, 2, 4, 4)
    body = b"".join(
        value.to_bytes(width, "little")
        for entry in entries
        for value, width in zip(entry, widths, strict=True)
    )
    return b"II*\0\x08\0\0\0" + len(entries).to_bytes(2, "little") + body + bytes(2**21)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xff\xd8" + b"\xff\xfe\0\2" * _TINY, id="jpeg of tiny comments"),
        pytest.param(b"\xff\xd8" + b"\xff\x01" * _TINY, id="jpeg of markers"),
        pytest.param(_png_of_tiny_chunks(), id="png of tiny chunks"),
        pytest.param(b"RIFF\xff\xff\xff\x7fWEBPVP8 \0\0\0\0" + b"XMP \0\0\0\0" * _TINY, id="webp"),
        pytest.param(b"GIF89a" + bytes(7) + b"\x21\xfe\0" * _TINY, id="gif of empty comments"),
        pytest.param(b"\0\0\0\x10ftypheic\0\0\0\0" + b"\0\0\0\x08free" * _TINY, id="heic of empty boxes"),
        pytest.param(_heif_of_items(60_000, 65_535), id="heic of empty extents"),
        pytest.param(_tiff(*[(700, 7, 2**21, 8)] * 1000), id="tiff of one value for all entries"),
        pytest.param(_tiff(*[(330, 4, 2**18, 8)] * 1000), id="tiff of subdirectories"),
        pytest.param(_tiff(*[(34665, 4, 2**18, 8)] * 1000), id="tiff of directories"),
    ],
)
def test_strip_refuses_more_parts_than_an_image_has(data: bytes) -> None:
    begun = time.process_time()
    with pytest.raises(BrokenImage):
        strip(data)
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8\xff\xe1\0\1",
        b"\xff\xd8\xff\xe1\xff\xff",
        b"\xff\xd8\xff\xd9",
        b"\x89PNG\r\n\x1a\n\0\0\0\0IDAT\0\0\0\0",
        b"RIFF\x04\0\0\0WEBPVP",
        b"GIF89a",
        b"II*\0\0\0\0\0",
        b"II*\0\xff\xff\xff\xff",
        b"MM\0+\0\x08\0\0" + b"\xff" * 8,
        b"\0\0\0\x10ftypheic\0\0\0\0\0\0\0\x04meta",
        b"\0\0\0\x10ftypheic\0\0\0\0\x7f\0\0\0meta",
    ],
)
def test_strip_of_a_malformed_container_is_refused(data: bytes) -> None:
    with pytest.raises(BrokenImage):
        strip(data)


@pytest.mark.parametrize("data", [b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"BM", b"%PDF-1.4"])
def test_strip_of_another_type_is_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedImage):
        strip(data)


def test_render_writes_the_image_and_says_how_long_it_is() -> None:
    _, data = SAMPLES["jpeg"]
    with descriptor(data) as original, descriptor() as result:
        rendered = render(original, result)
        with open(result, "rb", closefd=False) as file:
            file.seek(0)
            written = file.read()
    assert (rendered.format, rendered.size, written) == (Format.JPEG, len(written), strip(data)[1])


def test_render_without_an_image_is_refused() -> None:
    with descriptor() as result, pytest.raises(UnsupportedImage):
        render(None, result)
