"""The doorway: what a header says, what is turned away, and in which words."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import pyvips

from imgproxy.engine import readers, vips
from imgproxy.engine.readers.family import Opened
from imgproxy.errors import (
    BrokenImage,
    DeadlinePassed,
    EngineFailed,
    ImageTooLarge,
    ImgproxyError,
    UnsupportedImage,
)
from imgproxy.image.colour import TRANSPARENT, Colour
from imgproxy.image.formats import READERS, TRAITS, WRITTEN, Format
from imgproxy.image.header import ImageHeader
from tests.pictures import (
    BLUE,
    RED,
    array,
    deep,
    descriptor,
    encoded,
    film,
    gradient,
    noise,
    oriented,
    plain,
    png_header,
    suffix,
    svg,
    tagged,
)


@contextmanager
def _opened(data: bytes) -> Iterator[Opened]:
    with descriptor(data) as number:
        yield readers.open_image(number)


def _facts(data: bytes) -> ImageHeader:
    with _opened(data) as opened:
        return opened.facts


def _loaded(opened: Opened, **how: Any) -> Any:
    options: dict[str, Any] = {"shrink": 1, "first": 0, "count": opened.facts.pages, "sequential": False}
    return opened.load(**options | how)


def test_the_library_is_new_enough_and_reads_all_of_our_table() -> None:
    text, readable = vips.describe()
    assert vips.version() >= vips.OLDEST
    assert text == ".".join(str(part) for part in vips.version())
    assert readable == READERS["libvips"]


def test_every_codec_can_be_warmed() -> None:
    vips.warm()


# -- headers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WRITTEN)
def test_a_type_is_known_by_its_bytes(name: Format) -> None:
    facts = _facts(encoded(gradient(30, 20), suffix(name)))
    assert (facts.format, facts.width, facts.height, facts.pages) == (name, 30, 20, 1)
    assert not facts.alpha


@pytest.mark.parametrize("name", [name for name in WRITTEN if TRAITS[name].alpha])
def test_alpha_is_seen_in_the_header(name: Format) -> None:
    assert _facts(encoded(plain(30, 20, (*RED, 99)), suffix(name))).alpha


@pytest.mark.parametrize("kind", [".gif", ".webp"])
def test_the_size_is_one_frames(kind: str) -> None:
    facts = _facts(film(RED, BLUE, (1, 2, 3), suffix=kind))
    assert (facts.width, facts.height, facts.pages) == (16, 12, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_orientation_is_reported_with_the_size_that_is_stored(orientation: int) -> None:
    facts = _facts(oriented(orientation))
    assert facts.orientation == orientation
    assert facts.upright == (40, 20)
    assert (facts.width, facts.height) == ((20, 40) if orientation >= 5 else (40, 20))


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_an_orientation_that_there_is_not_counts_as_none(orientation: int) -> None:
    data = encoded(tagged(plain(8, 4, RED), orientation=6), ".jpg")
    entry = b"\x01\x12\x00\x03\x00\x00\x00\x01\x00"  # the tag, a short, one of them
    if entry not in data:
        entry = b"\x12\x01\x03\x00\x01\x00\x00\x00"
    broken = re.sub(re.escape(entry) + b"\x06", lambda _: entry + bytes([orientation]), data)
    assert broken != data
    assert _facts(broken).orientation == 1


def test_an_svg_may_have_a_view_box_only() -> None:
    facts = _facts(svg("<rect width='9' height='9'/>", 'viewBox="0 0 40 20"'))
    assert (facts.format, facts.width, facts.height, facts.alpha) == (Format.SVG, 40, 20, True)


def test_what_a_header_claims_is_told_without_the_pixels() -> None:
    facts = _facts(png_header(17_000, 17_000))
    assert (facts.width, facts.height) == (17_000, 17_000)


# -- what is turned away -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"<html><body><img src='x.png'></body></html>",
        bytes(range(256)) * 4,
        b"\0",
        b"P6 2 2 255 aaaaaaaaaaaa",
        b"gimp xcf file" + bytes(50),
        b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X 1\n1234",
    ],
    ids=["html", "bytes", "one byte", "ppm", "xcf", "hdr"],
)
def test_what_is_not_in_our_table_is_unsupported_whatever_it_is_called(data: bytes) -> None:
    with pytest.raises(UnsupportedImage, match=r"not of a type we read: jpeg, png, webp"):
        _facts(data)


def test_no_bytes_are_no_picture() -> None:
    with pytest.raises(BrokenImage, match="empty"):
        _facts(b"")


@pytest.mark.parametrize("name", [Format.JPEG, Format.PNG, Format.WEBP, Format.GIF, Format.AVIF])
def test_a_header_that_ends_too_early_is_damaged(name: Format) -> None:
    with pytest.raises(BrokenImage, match="header"):
        _facts(encoded(gradient(64, 64), suffix(name))[:30])


@pytest.mark.parametrize("name", [Format.JPEG, Format.PNG, Format.WEBP, Format.GIF, Format.AVIF])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_half_a_picture_is_never_taken_for_a_whole_one(name: Format, share: float) -> None:
    whole = encoded(noise(200, 200), suffix(name))
    with pytest.raises(BrokenImage):
        _decode(whole[: int(len(whole) * share)])


def _decode(data: bytes) -> None:
    """Read all pixels; it depends on the type which line notices that some are missing."""
    with _opened(data) as opened:
        try:
            _loaded(opened).copy_memory()
        except vips.Error as error:
            raise vips.translate(error) from error


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("VipsImage: killed", DeadlinePassed),
        ("jpegload_source: out of memory", ImageTooLarge),
        ("unable to allocate 7 bytes", ImageTooLarge),
        ("VipsJpeg: Insufficient memory (case 4)", ImageTooLarge),
        ("heif: Invalid input: Unspecified: Memory allocation error (2.0)", ImageTooLarge),
        ("heif: Encoding problem: Failed to allocate lag buffers (8.5002)", ImageTooLarge),
        ("heif: Initialization problem: av1_create_context_and_bufferpool() failed (8.5001)", ImageTooLarge),
        ("wbuffer_write: write failed\nsystem error: File too large", ImageTooLarge),
        ("vips_frobnicate: no such operation", EngineFailed),
        ("vipspng: libpng read error", BrokenImage),
    ],
)
def test_errors_become_ours_and_say_nothing_of_libvips(said: str, meant: type[ImgproxyError]) -> None:
    ours = vips.translate(pyvips.Error("unable to call x", said))
    assert type(ours) is meant
    assert "vips" not in str(ours)
    assert "png" not in str(ours)


# -- loading -----------------------------------------------------------------------------------------------


def test_the_descriptor_stays_the_callers() -> None:
    with descriptor(encoded(gradient(9, 9))) as number:
        readers.open_image(number)
        assert os.fstat(number).st_size


@pytest.mark.parametrize(
    ("name", "shrink", "expected"),
    [
        (Format.JPEG, 4, (100, 50)),
        (Format.WEBP, 4, (100, 50)),
        (Format.WEBP, 2.5, (160, 80)),
        (Format.PNG, 4, (400, 200)),
    ],
)
def test_a_decoder_shrinks_as_far_as_it_can(name: Format, shrink: float, expected: tuple[int, int]) -> None:
    with _opened(encoded(gradient(400, 200), suffix(name))) as opened:
        image = _loaded(opened, shrink=shrink)
        assert (image.width, image.height) == expected


def test_an_svg_is_drawn_at_size() -> None:
    with _opened(svg("<rect width='5' height='10' fill='red'/>", 'width="10" height="10"')) as opened:
        pixels = array(_loaded(opened, shrink=0.1))
    assert pixels.shape == (100, 100, 4)
    assert pixels[50, 48:52, 3].tolist() == [255, 255, 0, 0]


@pytest.mark.parametrize("kind", [".gif", ".webp"])
def test_frames_bring_their_own_delays_and_leave_page_heights_behind(kind: str) -> None:
    with _opened(film(RED, BLUE, (1, 2, 3), delays=[100, 200, 300], suffix=kind)) as opened:
        image = _loaded(opened, first=1, count=2)
    assert (image.height, image.get("delay")) == (24, [200, 300])
    assert not image.get_typeof("page-height")


@pytest.mark.parametrize("reference", ["{path}", "file://{path}", "http://127.0.0.1:9/a.png"])
def test_what_an_svg_refers_to_outside_itself_is_dead(tmp_path: Path, reference: str) -> None:
    (tmp_path / "a.png").write_bytes(encoded(plain(10, 10, RED)))
    link = reference.format(path=tmp_path / "a.png")
    body = (
        f'<image href="{link}" xlink:href="{link}" width="10" height="10"/>'
        f"<style>@import url({link});</style><use href='{link}#a'/>"
    )
    with _opened(svg(body, 'width="10" height="10"')) as opened:
        assert array(_loaded(opened)).max() == 0


def test_what_an_svg_includes_by_entity_is_dead(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("<rect width='10' height='10'/>")
    data = (
        f'<!DOCTYPE svg [<!ENTITY e SYSTEM "file://{tmp_path}/secret.txt">]>'
        '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10">&e;</svg>'
    )
    try:
        with _opened(data.encode()) as opened:
            assert array(_loaded(opened)).max() == 0
    except (BrokenImage, UnsupportedImage):
        pass  # refused is dead, too


# -- made and written --------------------------------------------------------------------------------------


def test_a_plain_picture_has_alpha_only_where_its_colour_has() -> None:
    assert array(vips.plain(Colour(1, 2, 3), 5, 4)).tolist() == [[[1, 2, 3]] * 5] * 4
    assert array(vips.plain(TRANSPARENT, 5, 4)).tolist() == [[[0, 0, 0, 0]] * 5] * 4


def test_bare_pixels_bring_nothing_along() -> None:
    bare = vips.bare(tagged(gradient(8, 6), exif_ifd0_Make="Camera", delay=[1, 2]))
    assert (array(bare) == array(gradient(8, 6))).all()
    assert bare.interpretation == "srgb"
    assert not [name for name in bare.get_fields() if name.startswith(("exif", "delay"))]


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_is_of_its_type(name: Format) -> None:
    with descriptor() as number:
        vips.write(deep(20, 10).colourspace("srgb"), number, name, {})
        facts = readers.open_image(number).facts
    assert (facts.format, facts.width, facts.height) == (name, 20, 10)


def test_avif_is_known_by_any_of_its_brands() -> None:
    plain = bytearray(encoded(gradient(40, 30), ".avif"))
    plain[8:12] = b"mif1"
    assert b"avif" in plain[16:40]
    with descriptor(bytes(plain)) as number:
        assert readers.open_image(number).facts.format is Format.AVIF


@pytest.mark.parametrize("count", [0, 23, 25, 48])
def test_from_memory_of_too_few_or_too_many_bytes_is_damaged(count: int) -> None:
    with pytest.raises(BrokenImage, match="different sizes"):
        vips.from_memory(bytes(count), 4, 2, 3, "srgb", None)
