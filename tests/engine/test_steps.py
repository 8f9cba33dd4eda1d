"""Each step does its one thing, and nothing when its wish is not there."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np
import pytest

from imgproxy.engine import steps
from imgproxy.engine.overlays import Overlays
from imgproxy.engine.worker_protocol import Encoding, Job
from imgproxy.errors import BadArgument, ImageTooLarge
from imgproxy.image.colour import TRANSPARENT, Colour
from imgproxy.image.filters import named
from imgproxy.image.formats import Format
from imgproxy.image.gravity import HAlign, Region, VAlign
from imgproxy.image.negotiate import Output
from imgproxy.image.plan import Ceiling
from imgproxy.image.transform import Fit, Padding, Transform, Trim
from tests.pictures import (
    BLACK,
    BLUE,
    CEILING,
    GREEN,
    RED,
    WHITE,
    YELLOW,
    animation,
    array,
    asked,
    corners,
    deep,
    descriptor,
    disc,
    distance,
    encoded,
    film,
    gradient,
    image,
    made,
    plain,
    png_header,
    quadrants,
    render,
    spot,
)


def _work(data: bytes | None, transform: Transform = Transform(), **job: Any) -> steps.Work:  # noqa: B008  frozen
    given = {"output": Output((Format.PNG,)), "encoding": Encoding(), "ceiling": CEILING} | job
    with descriptor(data or b"") as number:
        work = steps.Work(
            Job(transform, **given),
            None if data is None else number,
            -1,
            Overlays({}, CEILING),
            lambda _: None,
        )
        steps.probe(work)
    return work


# -- header and limits -------------------------------------------------------------------------------------


def test_a_plain_colour_has_the_size_that_is_asked_for() -> None:
    work = _work(None, asked(width=30, height=20), plain=TRANSPARENT)
    assert (work.facts.width, work.facts.height, work.facts.alpha) == (30, 20, True)
    assert made_plain(Colour(1, 2, 3), width=30, height=20) == (30, 20)
    assert made_plain(Colour(1, 2, 3)) == (1, 1)


def made_plain(colour: Colour, **wish: int) -> tuple[int, int]:
    made_so = render(colour, asked(**wish))
    assert (made_so.pixels == colour.rgb).all()
    return made_so.size


def test_more_pixels_than_the_ceiling_are_refused_in_no_time() -> None:
    begun = perf_counter()
    with pytest.raises(ImageTooLarge, match="17000×17000"):
        made(png_header(17_000, 17_000), width=10)
    assert perf_counter() - begun < 0.2


def test_frames_count_as_pixels_and_by_themselves() -> None:
    film_of_three = film(RED, GREEN, BLUE, width=10, height=10)
    with pytest.raises(ImageTooLarge, match="10×10×3 frames"):
        made(film_of_three, to=Format.GIF, ceiling=Ceiling(pixels=299, frames=9, side=99))
    with pytest.raises(ImageTooLarge, match="3 frames, at most 2"):
        made(film_of_three, to=Format.GIF, ceiling=Ceiling(pixels=999, frames=2, side=99))
    assert made(film_of_three, to=Format.PNG, ceiling=Ceiling(pixels=100, frames=1, side=99)).size == (10, 10)
    bounded = made(
        film_of_three, "max_frames(2)", to=Format.GIF, ceiling=Ceiling(pixels=200, frames=2, side=99)
    )
    assert bounded.rendered.pages == 2


def test_a_later_page_meets_the_ceiling_with_its_own_size() -> None:
    pyramid = encoded(gradient(512, 256), ".tif", tile=True, pyramid=True, tile_width=64, tile_height=64)
    small = Ceiling(pixels=256 * 128, frames=9, side=999)
    assert made(pyramid, "page(2)", ceiling=small).size == (256, 128)
    with pytest.raises(ImageTooLarge, match="512×256"):
        made(pyramid, "page(1)", ceiling=small)


# -- trim --------------------------------------------------------------------------------------------------


def _framed(border: tuple[int, ...], inside: tuple[int, ...]) -> Any:
    pixels = np.full((30, 40, len(border)), border, np.uint8)
    pixels[5:20, 10:35] = inside
    return image(pixels)


@pytest.mark.parametrize("border", [WHITE, BLACK, (*RED, 0), (9, 9, 9, 128)], ids=str)
def test_an_even_border_goes(border: tuple[int, ...]) -> None:
    inside = (*BLUE, 255)[: len(border)]
    pixels = made(_framed(border, inside), trim=Trim()).pixels
    assert pixels.shape[:2] == (15, 25)
    assert (pixels == inside).all()


def test_tolerance_says_how_even() -> None:
    uneven = _framed((200, 200, 200), BLUE).numpy().copy()
    uneven[0:4, 15:25] = 195
    assert made(image(uneven), trim=Trim(tolerance=10)).size == (25, 15)
    assert made(image(uneven), trim=Trim(tolerance=2)).size == (25, 20)
    assert made(image(uneven.astype(np.uint16) * 257, "rgb16"), trim=Trim(tolerance=10)).size == (25, 15)


def test_the_corner_says_which_border() -> None:
    picture = quadrants(40, 20, [RED, RED, RED, BLUE])
    assert made(picture, trim=Trim()).size == (20, 10)
    assert corners(made(picture, trim=Trim("bottom-right")).pixels) == (RED, RED, RED, BLUE)


@pytest.mark.parametrize(("width", "height"), [(40, 30), (3, 3), (30, 3)])
def test_trim_keeps_a_frame_of_one_pixel(width: int, height: int) -> None:
    pixels = np.full((height + 20, width + 30, 3), 255, np.uint8)
    pixels[10 : 10 + height, 15 : 15 + width] = 0
    pixels[11 : 9 + height, 16 : 14 + width] = 255
    assert made(image(pixels), trim=Trim()).size == (width, height)


def test_trim_keeps_a_full_stop() -> None:
    pixels = np.full((40, 90, 3), 255, np.uint8)
    pixels[10:20, 15:60] = 0
    pixels[19, 64] = 0
    assert made(image(pixels), trim=Trim()).size == (50, 10)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (1, 50), (50, 2)])
@pytest.mark.parametrize("bands", [3, 4])
def test_trim_of_an_image_of_one_or_two_pixels_a_side_keeps_it(size: tuple[int, int], bands: int) -> None:
    assert made(plain(*size, (*RED, 255)[:bands]), trim=Trim()).size == size
    stripe = plain(*size, (*RED, 255)[:bands]).numpy().copy()
    stripe[-1, -1, 0] = 0
    assert made(image(stripe), trim=Trim()).size == ((1, 1) if size != (1, 1) else size)


def test_what_is_all_border_stays() -> None:
    assert made(plain(9, 7, RED), trim=Trim()).size == (9, 7)


@pytest.mark.parametrize("kind", [Format.GIF, Format.WEBP])
def test_trim_of_the_first_frame_is_that_of_every_frame(kind: Format) -> None:
    moving = animation([_framed(WHITE, RED), plain(40, 30, BLUE), _framed(BLACK, GREEN)], f".{kind.value}")
    trimmed = made(moving, trim=Trim(), to=Format.GIF)
    assert (trimmed.size, trimmed.rendered.pages) == ((25, 15), 3)
    for frame, colour in zip(trimmed.frames, (RED, BLUE, GREEN), strict=True):
        assert np.abs(frame[..., :3] - colour).max() <= 2
    smaller = made(moving, trim=Trim(), width=10, to=Format.GIF)
    assert (smaller.size, smaller.rendered.pages) == ((10, 6), 3)


def test_trim_and_crop_meet_where_both_are() -> None:
    made_so = made(_framed(WHITE, BLUE), trim=Trim(), crop=Region(0, 0, 20, 15))
    assert made_so.size == (10, 10)
    assert (made_so.pixels == BLUE).all()


def test_what_is_trimmed_is_then_fit() -> None:
    made_so = made(_framed(WHITE, BLUE), trim=Trim(), width=50, height=50, fit=Fit.INSIDE, upscale=True)
    assert made_so.size == (25, 15)


# -- cuts and turns ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("crop", "expected"),
    [
        (Region(0, 0, 20, 10), RED),
        (Region(20, 0, 39, 10), GREEN),
        (Region(0, 0.5, 0.5, 0.99), BLUE),
        (Region(0.5, 0.5, 0.99, 0.99), YELLOW),
    ],
)
def test_a_manual_crop_is_pixels_or_fractions(crop: Region, expected: tuple[int, int, int]) -> None:
    pixels = made(quadrants(40, 20), crop=crop).pixels
    assert (pixels == expected).all()


@pytest.mark.parametrize(
    ("align", "expected"), [(HAlign.LEFT, RED), (HAlign.RIGHT, GREEN), (HAlign.CENTER, None)]
)
def test_what_is_too_wide_is_cut_at_the_side_that_is_named(align: HAlign, expected: Any) -> None:
    pixels = made(quadrants(60, 10, [RED, GREEN] * 2), width=10, height=10, halign=align).pixels
    shown = {tuple(pixel) for pixel in pixels.reshape(-1, 3).tolist()}
    assert shown == ({expected} if expected else {RED, GREEN})


@pytest.mark.parametrize(("align", "expected"), [(VAlign.TOP, RED), (VAlign.BOTTOM, BLUE)])
def test_what_is_too_high_is_cut_at_the_end_that_is_named(align: VAlign, expected: Any) -> None:
    pixels = made(quadrants(10, 60, [RED, RED, BLUE, BLUE]), width=10, height=10, valign=align).pixels
    assert (pixels == expected).all()


@pytest.mark.parametrize(("left", "top"), [(10, 30), (240, 30), (120, 5)])
def test_a_smart_crop_keeps_what_draws_attention(left: int, top: int) -> None:
    pixels = made(spot(300, 100, left, top), smart=True, width=100, height=100).pixels
    assert (pixels[..., 1] < 60).sum() > 700


@pytest.mark.parametrize(
    "picture", [plain(40, 20, (90,)), plain(40, 20, (90, 40)), deep(40, 20), plain(40, 20, (*RED, 0))]
)
def test_a_smart_crop_takes_every_kind_of_picture(picture: Any) -> None:
    assert made(picture, smart=True, width=10, height=10).size == (10, 10)


@pytest.mark.parametrize(("left", "top"), [(10, 30), (240, 30)])
def test_smart_place_in_the_first_frame_is_that_in_every_frame(left: int, top: int) -> None:
    first, later = spot(300, 100, left, top), gradient(300, 100)
    cut = made(animation([first, later]), smart=True, width=100, height=100, to=Format.GIF)
    still = made(first, smart=True, width=100, height=100)
    assert (cut.size, cut.rendered.pages) == ((100, 100), 2)
    assert distance(cut.frames[0][..., :3], still.pixels) < 12
    where = -first.smartcrop(100, 100, interesting="attention").xoffset
    reds = cut.frames[1][..., 0].mean(axis=0) - np.arange(where, where + 100) * 255 / 299
    assert np.abs(reds).mean() < 8


def test_smart_says_where_it_cut() -> None:
    picture = spot(300, 100, 240, 30)
    found = picture.smartcrop(100, 100, interesting="attention")
    assert found.xoffset < -100
    cut = picture.crop(-found.xoffset, -found.yoffset, 100, 100)
    assert distance(array(found), array(cut)) == 0


@pytest.mark.parametrize(
    ("flips", "expected"),
    [
        ({"flip_h": True}, (GREEN, RED, YELLOW, BLUE)),
        ({"flip_v": True}, (BLUE, YELLOW, RED, GREEN)),
        ({"flip_h": True, "flip_v": True}, (YELLOW, BLUE, GREEN, RED)),
    ],
)
def test_flips_mirror_every_frame(flips: dict[str, bool], expected: Any) -> None:
    assert corners(made(quadrants(40, 20), **flips).pixels) == expected
    moving = animation([quadrants(8, 8), quadrants(8, 8, [WHITE] * 4)])
    assert corners(made(moving, to=Format.GIF, **flips).frames[0]) == expected


# -- colours, filters, canvas ------------------------------------------------------------------------------


def test_a_profile_stays_only_where_metadata_does() -> None:
    photo = encoded(gradient(32, 32).icc_transform("p3", input_profile="srgb"), ".png")
    stored = made(photo, encoding=Encoding(metadata="keep"))
    assert stored.image.get_typeof("icc-profile-data")
    converted = made(photo)
    assert not converted.image.get_typeof("icc-profile-data")
    assert abs(converted.pixels - array(gradient(32, 32))).mean() < 1
    assert distance(stored.pixels, converted.pixels) > 10


def test_ink_is_brought_to_srgb_even_where_the_profile_might_stay() -> None:
    ink = gradient(32, 32).icc_transform("cmyk", input_profile="srgb")
    made_so = made(encoded(ink, ".jpg"), encoding=Encoding(metadata="keep"), to=Format.JPEG)
    assert made_so.image.interpretation == "srgb"


def test_a_smart_crop_is_measured_by_what_it_leaves() -> None:
    """The whole is 400 pixels wide before the crop, which with its padding would be too wide."""
    ceiling = Ceiling(pixels=10**6, frames=1, side=450)
    cut = made(plain(400, 40, RED), "padding(red,50)", width=40, height=40, smart=True, ceiling=ceiling)
    assert cut.size == (140, 140)


def test_filters_work_in_the_order_of_the_url() -> None:
    picture = plain(4, 4, (100, 100, 100))
    first = made(picture, "brightness(20)", "contrast(50)").pixels[0, 0, 0]
    second = made(picture, "contrast(50)", "brightness(20)").pixels[0, 0, 0]
    assert first > second + 20


def test_a_quarter_turn_swaps_what_fill_knows() -> None:
    work = _work(
        encoded(plain(4, 4, RED)), asked("fill(red)", width=30, height=20, padding=Padding(1, 2, 3, 4))
    )
    for step in (steps.check_limits, steps.load, steps.make_plan):
        step(work)
    turned = named("rotate").resizes(steps._Stage(work).extent, "90")
    assert turned.box == (20, 30)
    assert turned.padding == (2, 1, 4, 3)


def test_an_answer_that_grew_too_large_is_refused() -> None:
    with pytest.raises(BadArgument, match="at most 50 a side"):
        made(plain(40, 40, RED), "padding(red,6)", ceiling=Ceiling(pixels=10**6, frames=1, side=50))


def _half_clear(colour: tuple[int, ...]) -> bytes:
    return encoded(quadrants(32, 32, [(*colour, 0), (*colour, 255)] * 2))


def test_fit_puts_white_behind_what_jpeg_cannot_see_through() -> None:
    pixels = made(_half_clear(BLACK), to=Format.JPEG).pixels
    assert pixels.shape[2] == 3
    assert corners(pixels) == (WHITE, BLACK, WHITE, BLACK)


@pytest.mark.parametrize("colour", [BLACK, RED, WHITE], ids=str)
@pytest.mark.parametrize("filters", [(), ("fill(none)",), ("grayscale()",), ("padding(none,0)", "blur(1)")])
def test_fit_puts_the_background_of_the_settings_behind_every_image(
    colour: tuple[int, int, int], filters: tuple[str, ...]
) -> None:
    encoding = Encoding(background=Colour(*colour), quality={Format.JPEG: 100})
    pixels = made(_half_clear(GREEN), *filters, to=Format.JPEG, encoding=encoding).pixels
    shown = np.broadcast_to(pixels[16, 4], (3,))
    assert shown == pytest.approx(colour, abs=8)


def test_fit_puts_a_colour_behind_grey() -> None:
    grey = encoded(image(np.full((16, 16, 2), (90, 0), np.uint8), "b-w"))
    for colour in (WHITE, RED):
        made_so = made(grey, to=Format.JPEG, encoding=Encoding(background=Colour(*colour)))
        assert np.broadcast_to(made_so.pixels[8, 8], (3,)) == pytest.approx(colour, abs=3)
    assert made(grey, to=Format.JPEG).image.bands == 1


def test_a_description_writes_nothing() -> None:
    made_so = made(gradient(20, 10), meta=True)
    assert made_so.data == b""
    assert made_so.rendered.size == 0


def test_nothing_asked_is_nothing_done() -> None:
    assert distance(made(gradient(33, 21)).pixels, array(gradient(33, 21))) == 0


# -- as imagor does ----------------------------------------------------------------------------------------

_IMAGOR = Encoding(imagor=True)


def test_imagor_trims_with_a_median_and_keeps_tiny_images() -> None:
    pixels = np.full((40, 60, 3), 255, np.uint8)
    pixels[10:30, 15:45] = 0
    pixels[11:29, 16:44] = 255
    pixels[15:20, 20:30] = 0
    assert made(image(pixels), trim=Trim()).size == (30, 20)
    assert made(image(pixels), trim=Trim(), encoding=_IMAGOR).size < (30, 20)
    assert made(plain(2, 2, RED), trim=Trim(), encoding=_IMAGOR).size == (2, 2)


def test_a_crop_lies_within_the_rows_that_vips_resize_made() -> None:
    """It rounds 10.5 rows down, by dividing by the inverse of the scale; the plan has 11."""
    tall = plain(34, 51, RED)
    assert made(tall, width=7, height=7, valign=VAlign.BOTTOM, encoding=_IMAGOR).size == (7, 7)
    assert made(tall, width=7, height=7, smart=True, encoding=_IMAGOR).size == (7, 7)


def test_imagor_leaves_animations_to_themselves() -> None:
    framed = animation([_framed(WHITE, RED), _framed(WHITE, BLUE)])
    assert made(framed, trim=Trim(), encoding=_IMAGOR, to=Format.GIF).size == (40, 30)
    moving = animation([spot(300, 100, 240, 30), gradient(300, 100)])
    wish = {"width": 100, "height": 100, "to": Format.GIF, "encoding": _IMAGOR}
    assert made(moving, smart=True, **wish).data == made(moving, **wish).data
    for text in ("blur(8)", "sharpen(1)"):
        assert made(moving, text, **wish).data == made(moving, **wish).data
    filled = made(
        moving, "fill(blur)", width=320, height=320, fit=Fit.INSIDE, to=Format.GIF, encoding=_IMAGOR
    )
    assert filled.frames[1][0, 0, :3].max() == 0


def test_imagor_blurs_without_weights() -> None:
    drawn = disc(64, WHITE, GREEN)
    edge = made(drawn, "blur(8)", encoding=_IMAGOR).pixels
    assert edge[(edge[..., 3] > 20) & (edge[..., 3] < 235)][:, 0].min() < 200


def test_imagor_converts_ink_without_black_point() -> None:
    ink = image(np.full((16, 16, 4), (0, 255, 255, 0), np.uint8), "cmyk")
    data = encoded(ink, ".tif")
    ours, imagors = (made(data, encoding=Encoding(imagor=imagor)).pixels[8, 8] for imagor in (False, True))
    assert imagors[1] > ours[1] + 15
