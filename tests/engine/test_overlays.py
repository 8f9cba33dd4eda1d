"""Further pictures are 8-bit sRGB with alpha, have the size and frames asked for, and bring nothing else."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest

from imgproxy.engine.overlays import Overlays
from imgproxy.engine.worker_protocol import Encoding
from imgproxy.errors import BrokenImage, EngineFailed, ImageTooLarge, TransformFailed, UnsupportedImage
from imgproxy.image.filters.base import Image
from imgproxy.image.formats import Format
from imgproxy.image.plan import Ceiling
from tests.pictures import (
    BLUE,
    CEILING,
    CORNERS,
    GREEN,
    RED,
    array,
    corners,
    deep,
    descriptor,
    encoded,
    film,
    gradient,
    made,
    noise,
    oriented,
    plain,
    png_header,
    quadrants,
    suffix,
    svg,
    tagged,
)


def _overlay(
    data: bytes, *, within: tuple[int, int] | None = None, frames: int = 1, ceiling: Ceiling = CEILING
) -> Image:
    with ExitStack() as stack:
        overlays = Overlays({"mark": stack.enter_context(descriptor(data))}, ceiling)
        return overlays.image("mark", within=within, frames=frames)


@pytest.mark.parametrize(
    "picture",
    [plain(8, 6, (90,)), plain(8, 6, (90, 80)), plain(8, 6, RED), plain(8, 6, (*RED, 9)), deep(8, 6)],
    ids=["grey", "grey-alpha", "rgb", "rgba", "deep"],
)
def test_whatever_it_was_it_has_four_bands_of_8_bits(picture: Image) -> None:
    overlay = _overlay(encoded(picture))
    assert (overlay.width, overlay.height, overlay.bands) == (8, 6, 4)
    assert (overlay.format, overlay.interpretation) == ("uchar", "srgb")


@pytest.mark.parametrize("name", [Format.JPEG, Format.WEBP, Format.GIF, Format.AVIF, Format.TIFF])
def test_it_may_be_of_any_type(name: Format) -> None:
    assert corners(array(_overlay(encoded(quadrants(32, 16), suffix(name))))) == CORNERS


def test_it_may_be_a_drawing() -> None:
    overlay = _overlay(svg("<rect width='5' height='10' fill='#0f0'/>", 'width="10" height="10"'))
    assert array(overlay)[5].tolist() == [[0, 255, 0, 255]] * 5 + [[0, 0, 0, 0]] * 5


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_it_is_set_upright_before_it_is_fit(orientation: int) -> None:
    overlay = _overlay(oriented(orientation), within=(20, 20))
    assert (overlay.width, overlay.height) == (20, 10)
    assert corners(array(overlay)) == CORNERS


def test_its_colours_are_brought_to_srgb() -> None:
    wide = plain(8, 8, (0, 200, 0)).icc_transform("p3", input_profile="srgb")
    assert array(_overlay(encoded(wide)))[4, 4] == pytest.approx([0, 200, 0, 255], abs=2)


@pytest.mark.parametrize(
    ("within", "expected"),
    [((20, 20), (20, 10)), ((80, 80), (80, 40)), ((7, 100), (7, 4)), ((100, 1), (2, 1))],
)
def test_it_fits_larger_or_smaller(within: tuple[int, int], expected: tuple[int, int]) -> None:
    overlay = _overlay(encoded(quadrants(40, 20)), within=within)
    assert (overlay.width, overlay.height) == expected


def test_frames_begin_again_until_there_are_enough() -> None:
    overlay = _overlay(film(RED, GREEN), frames=5)
    shown = [part[3, 3, :3].tolist() for part in np.split(array(overlay), 5)]
    assert shown == [list(colour) for colour in (RED, GREEN, RED, GREEN, RED)]


def test_no_more_frames_come_than_were_asked_for() -> None:
    overlay = _overlay(film(RED, GREEN, BLUE), frames=2, within=(32, 24))
    assert (overlay.width, overlay.height) == (32, 48)
    assert _overlay(film(RED, GREEN, BLUE)).height == 12


def test_it_meets_the_limits_that_an_original_meets() -> None:
    with pytest.raises(ImageTooLarge):
        _overlay(png_header(17_000, 17_000))
    with pytest.raises(ImageTooLarge):
        _overlay(film(RED, GREEN, BLUE), frames=3, ceiling=Ceiling(pixels=10**6, frames=2, side=99))


@pytest.mark.parametrize(
    ("data", "error"),
    [(b"", BrokenImage), (b"<html>", UnsupportedImage), (encoded(gradient(9, 9))[:20], BrokenImage)],
)
def test_what_is_no_picture_is_refused_as_an_original_is(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        _overlay(data)


def test_half_a_overlay_spoils_the_whole_picture() -> None:
    half = encoded(noise(64, 64), ".jpg")[:1500]
    with pytest.raises(TransformFailed):
        made(plain(90, 90, RED), "watermark(m,0,0,0)", overlays={"m": half})


def test_one_that_did_not_come_along_is_our_fault() -> None:
    with pytest.raises(EngineFailed):
        Overlays({}, CEILING).image("mark", within=None, frames=1)


def test_what_else_is_in_its_file_does_not_get_into_the_result() -> None:
    mark = encoded(tagged(gradient(9, 9), exif_ifd0_Make="Cameramaker", orientation=6), ".jpg")
    made_so = made(
        plain(20, 20, RED),
        "watermark(m,0,0,0)",
        overlays={"m": mark},
        encoding=Encoding(metadata="keep"),
        to=Format.JPEG,
    )
    assert b"Cameramaker" not in made_so.data


def test_overlay_that_is_read_row_by_row_is_laid_on_every_frame() -> None:
    """A large PNG is decoded as its rows are asked for, and can be read once only."""
    overlay = _overlay(encoded(gradient(400, 2000)), frames=3)
    pixels = array(overlay)
    assert overlay.height == 6000
    assert (pixels[:2000] == pixels[4000:]).all()
