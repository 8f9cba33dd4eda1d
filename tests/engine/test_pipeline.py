"""From bytes to bytes: every wish, on every kind of original, gives exactly the size that was planned."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgproxy.engine import pipeline, readers, sandbox, steps, vips
from imgproxy.engine.worker_protocol import Encoding, Job
from imgproxy.errors import (
    BadArgument,
    BrokenImage,
    DeadlinePassed,
    EngineFailed,
    ImageTooLarge,
    ImgproxyError,
    TransformFailed,
)
from imgproxy.image import plan as planning
from imgproxy.image.formats import TRAITS, WRITTEN, Format
from imgproxy.image.gravity import HAlign, Region, VAlign
from imgproxy.image.header import ImageHeader
from imgproxy.image.negotiate import Output
from imgproxy.image.plan import Size
from imgproxy.image.transform import Fit, Transform
from tests.pictures import (
    BLACK,
    BLUE,
    CEILING,
    CORNERS,
    GREEN,
    RED,
    YELLOW,
    animation,
    array,
    asked,
    checkerboard,
    corners,
    descriptor,
    encoded,
    film,
    gradient,
    made,
    noise,
    oriented,
    plain,
    quadrants,
    render,
    suffix,
    svg,
    tagged,
)


def test_header_and_limits_come_before_pixels_and_effects_after_the_picture_is_small() -> None:
    order = [step.__name__ for step in pipeline.STEPS]
    for sooner, later in [
        ("probe", "check_limits"),
        ("check_limits", "load"),
        ("make_plan", "extract"),
        ("compute_upright", "apply_filters"),
    ]:
        assert order.index(sooner) < order.index(later)
    assert pipeline.STEPS[-1] is steps.write


# -- orientation -------------------------------------------------------------------------------------------

_UPRIGHT: dict[str, tuple[dict[str, Any], tuple[str, ...], tuple[int, int], Any]] = {
    "as it is": ({}, (), (40, 20), CORNERS),
    "fit-in": ({"width": 20, "height": 20, "fit": Fit.INSIDE}, (), (20, 10), CORNERS),
    "full-fit-in": ({"width": 20, "height": 20, "fit": Fit.OUTSIDE}, (), (40, 20), CORNERS),
    "cover": ({"width": 24, "height": 20}, (), (24, 20), CORNERS),
    "cover left": ({"width": 10, "height": 10, "halign": HAlign.LEFT}, (), (10, 10), (RED, RED, BLUE, BLUE)),
    "cover top": ({"width": 40, "height": 6, "valign": VAlign.TOP}, (), (40, 6), (RED, GREEN) * 2),
    "crop": ({"crop": Region(20, 10, 39, 19)}, (), (19, 9), (YELLOW,) * 4),
    "crop fraction": ({"crop": Region(0, 0, 0.5, 0.5), "width": 10}, (), (10, 5), (RED,) * 4),
    "stretch": ({"width": 10, "height": 30, "fit": Fit.STRETCH}, (), (10, 30), CORNERS),
    "flip across": ({"flip_h": True, "width": 20}, (), (20, 10), (GREEN, RED, YELLOW, BLUE)),
    "flip down": ({"flip_v": True}, (), (40, 20), (BLUE, YELLOW, RED, GREEN)),
    "rotate": ({}, ("rotate(90)",), (20, 40), (GREEN, YELLOW, RED, BLUE)),
    "focal": ({"width": 10, "height": 10}, ("focal(35,10)",), (10, 10), (GREEN, GREEN, YELLOW, YELLOW)),
    "adaptive": ({"width": 10, "height": 30, "fit": Fit.INSIDE, "adaptive": True}, (), (20, 10), CORNERS),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("how", _UPRIGHT)
def test_every_orientation_comes_out_upright(how: str, orientation: int) -> None:
    wish, calls, size, colours = _UPRIGHT[how]
    made_so = made(oriented(orientation), *calls, **wish)
    assert made_so.size == size
    assert corners(made_so.pixels) == colours


# -- sizes -------------------------------------------------------------------------------------------------

_SIDE = st.integers(1, 40)
_FRACTION = st.floats(0, 1)
_CROP = st.one_of(
    st.none(),
    st.builds(Region, _SIDE, _SIDE, _SIDE, _SIDE),
    st.builds(Region, _FRACTION, _FRACTION, _FRACTION, _FRACTION),
)
_WISH = st.fixed_dictionaries(
    {
        "crop": _CROP,
        "fit": st.sampled_from(Fit),
        "adaptive": st.booleans(),
        "width": st.integers(0, 60),
        "height": st.integers(0, 60),
        "halign": st.sampled_from(HAlign),
        "valign": st.sampled_from(VAlign),
        "smart": st.booleans(),
        "flip_h": st.booleans(),
        "flip_v": st.booleans(),
    }
)
_CALLS = st.lists(
    st.sampled_from(["upscale()", "no_upscale()", "focal(3,4)", "focal(.9,.1)", "dpr(1.7)"]), max_size=2
)
_KINDS = (".jpg", ".png", ".webp", ".gif", "animated .gif", "animated .webp")


@lru_cache(maxsize=500)
def _original(kind: str, width: int, height: int, orientation: int) -> bytes:
    if kind.startswith("animated"):
        frames = [plain(width, height, colour) for colour in (RED, GREEN, BLUE)]
        return animation(frames, kind.removeprefix("animated "))
    return oriented(orientation, width, height) if kind == ".jpg" else encoded(gradient(width, height), kind)


def _planned(transform: Transform, facts: ImageHeader) -> Size | ImgproxyError:
    try:
        loaded = Size(facts.width, facts.height)
        plan = planning.make(transform, facts, loaded=loaded, trim=None, ceiling=CEILING)
    except BadArgument as error:
        return error
    return Size(plan.crop.width, plan.crop.height) if plan.crop else plan.size


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(_KINDS),
    size=st.tuples(_SIDE, _SIDE),
    orientation=st.integers(1, 8),
    wish=_WISH,
    calls=_CALLS,
    exact=st.booleans(),
)
def test_every_wish_gives_exactly_the_size_that_was_planned(
    kind: str, size: tuple[int, int], orientation: int, wish: dict[str, Any], calls: list[str], exact: bool
) -> None:
    data = _original(kind, *size, orientation)
    to = Format.WEBP if kind.startswith("animated") else Format.PNG
    transform = asked(*calls, **wish)
    with descriptor(data) as number:
        expected = _planned(transform, readers.open_image(number).facts)
    if isinstance(expected, ImgproxyError):
        with pytest.raises(type(expected), match="nothing is left"):
            render(data, transform, to=to)
        return
    made_so = render(data, transform, to=to, encoding=Encoding(exact=exact))
    assert made_so.size == expected
    assert made_so.rendered.pages == (3 if kind.startswith("animated") else 1)
    assert made_so.pixels.shape[:2] == expected[::-1]


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"width": 100, "height": 50},
        {"width": 100, "height": 50, "fit": Fit.INSIDE},
        {"width": 100, "height": 50, "fit": Fit.STRETCH},
        {"width": 0, "height": 3},
    ],
)
def test_there_is_no_picture_too_narrow(size: tuple[int, int], wish: dict[str, Any]) -> None:
    made_so = made(plain(*size, RED), **wish)
    assert made_so.size == _planned(asked(**wish), ImageHeader(Format.PNG, *size))
    assert (made_so.pixels == RED).all()


# -- shrinking while loading -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [Format.JPEG, Format.WEBP])
@pytest.mark.parametrize(
    "wish", [{"width": 90}, {"width": 61, "height": 61}, {"crop": Region(100, 50, 500, 350), "width": 50}]
)
def test_fast_and_exact_differ_by_little_and_in_no_size(name: Format, wish: dict[str, Any]) -> None:
    original = encoded(gradient(801, 599), suffix(name), Q=95)
    fast, exact = (made(original, encoding=Encoding(exact=exact), **wish) for exact in (False, True))
    assert fast.size == exact.size
    assert abs(fast.pixels - exact.pixels).mean() < 2.5


def test_an_svg_is_scaled_and_not_blurred() -> None:
    small = svg("<rect width='5' height='10' fill='red'/>", 'viewBox="0 0 10 10" width="10" height="10"')
    made_so = made(small, width=200)
    assert made_so.size == (200, 200)
    assert made_so.pixels[100, 98:102].tolist() == [[*RED, 255]] * 2 + [[0] * 4] * 2


def test_an_svg_without_a_choice_is_answered_as_png() -> None:
    assert made(svg("", 'viewBox="0 0 10 10"'), to=None).rendered.format is Format.PNG


def test_fine_detail_is_averaged_and_not_dropped() -> None:
    pixels = made(checkerboard(400, 400, 1), width=50).pixels
    assert pixels.mean() == pytest.approx(127.5, abs=4)
    assert pixels.std() < 12


# -- animations --------------------------------------------------------------------------------------------


def test_an_animation_survives_the_way_to_webp_and_back() -> None:
    first = film(RED, GREEN, BLUE, delays=[50, 120, 300], loop=2)
    there = made(first, width=32, to=Format.WEBP)
    back = made(there.data, width=16, to=Format.GIF)
    assert back.size == (16, 12)
    assert back.strip.get("delay") == [50, 120, 300]
    assert back.strip.get("loop") == 2
    assert [int(frame[6, 8, :3].argmax()) for frame in back.frames] == [0, 1, 2]


@pytest.mark.parametrize("name", [name for name in WRITTEN if not TRAITS[name].animation])
def test_what_cannot_move_shows_the_first_frame(name: Format) -> None:
    made_so = made(film((250, 5, 5), GREEN, BLUE, width=32, height=16), to=name)
    assert made_so.rendered.pages == 1
    assert made_so.size == (32, 16)
    assert made_so.pixels[8, 16, :3] == pytest.approx([250, 5, 5], abs=8)


def test_fit_puts_white_behind_a_transparent_frame_of_a_gif() -> None:
    assert made(film((*BLACK, 0), (*BLACK, 255)), to=Format.JPEG).pixels.min() > 252


def test_one_frame_is_one_page_however_it_is_padded() -> None:
    for to in (Format.GIF, Format.WEBP):
        made_so = made(film(RED, GREEN), "page(2)", "padding(blue,0,6)", to=to)
        assert made_so.size == (16, 24)
        assert len(made_so.frames) == 1


# -- what is wrong -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [Format.JPEG, Format.PNG, Format.WEBP, Format.GIF, Format.AVIF])
@pytest.mark.parametrize("wish", [{}, {"width": 20}, {"width": 30, "height": 30, "smart": True}])
def test_half_a_picture_is_broken_whatever_is_asked_of_it(name: Format, wish: dict[str, Any]) -> None:
    whole = encoded(noise(200, 200), suffix(name))
    with pytest.raises(BrokenImage):
        made(whole[: len(whole) // 2], **wish)


def test_render_of_a_source_that_may_lack_memory_blames_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenJPEG calls a failed allocation damage; the limit is told from the image's size."""
    whole = encoded(noise(200, 200), ".jpg")
    damaged = whole[: len(whole) // 2]
    monkeypatch.setattr(sandbox, "allows", lambda size: size < 200 * 200 * 24)
    with pytest.raises(ImageTooLarge, match="more memory"):
        made(damaged)
    monkeypatch.setattr(sandbox, "allows", lambda size: size <= 200 * 200 * 24)
    with pytest.raises(BrokenImage):
        made(damaged)


def test_render_with_an_encoder_that_may_lack_memory_is_no_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "allows", lambda size: size < 17_000 * 2 * 24)
    with pytest.raises(ImageTooLarge):
        made(gradient(17_000, 2), to=Format.WEBP, ceiling=CEILING._replace(side=20_000))


@pytest.mark.parametrize("streams", [True, False])
def test_render_with_an_operation_that_fails_blames_us_and_not_the_source(streams: bool) -> None:
    """WebP has at most 16,383 pixels a side; libvips notices when it writes."""
    ceiling = CEILING._replace(side=20_000)
    effects = () if streams else ("blur(1)",)
    with pytest.raises(EngineFailed):
        made(gradient(17_000, 2), *effects, to=Format.WEBP, ceiling=ceiling)


def test_render_with_a_damaged_overlay_fails_that_transform_only() -> None:
    overlay = encoded(noise(60, 60))
    with pytest.raises(TransformFailed, match="further image"):
        made(gradient(80, 60), "watermark(mark.png,0,0)", overlays={"mark.png": overlay[: len(overlay) // 2]})


def test_render_with_a_damaged_later_page_fails_that_transform_only() -> None:
    strip = tagged(vips.join_frames([noise(80, 60), noise(80, 60)]), page_height=60)
    whole = encoded(strip, ".tif", compression="deflate")
    start = len(whole) * 6 // 10
    spoilt = whole[:start] + bytes(2_000) + whole[start + 2_000 :]
    with pytest.raises(TransformFailed, match="frame"):
        made(spoilt, "page(2)")
    assert made(spoilt).size == made(spoilt, "page(1)").size == (80, 60)


@pytest.mark.parametrize("part", [0, 1, 2], ids=["decoding", "filtering", "encoding"])
def test_a_picture_can_be_stopped_in_every_part_of_its_way(part: int) -> None:
    job = Job(asked("blur(20)"), Output((Format.PNG,)), Encoding(), CEILING)
    handed: list[Any] = []

    def stop(image: Any) -> None:
        handed.append(image)
        if len(handed) == part + 1:
            image.set_kill(True)

    with (
        descriptor(encoded(noise(900, 900))) as original,
        descriptor() as result,
        pytest.raises(DeadlinePassed),
    ):
        pipeline.render(job, original, [], result, stop=stop)
    assert len(handed) == part + 1


# -- descriptions ------------------------------------------------------------------------------------------


def test_a_description_is_the_results_and_in_imagors_names() -> None:
    info = made(oriented(6), width=20, to=Format.WEBP, meta=True).rendered.info
    assert info == {
        "format": "webp",
        "content_type": "image/webp",
        "width": 20,
        "height": 10,
        "orientation": 1,
        "pages": 1,
        "bands": 3,
        "exif": {},
    }


def test_an_animations_description_counts_its_pages() -> None:
    info = made(film(RED, GREEN), to=Format.GIF, meta=True).rendered.info
    assert (info["pages"], info["width"], info["height"], info["orientation"]) == (2, 16, 12, 0)


def test_the_same_job_gives_the_same_bytes() -> None:
    twice = [made(gradient(90, 60), "blur(3)", width=33, to=Format.WEBP).data for _ in range(2)]
    assert twice[0] == twice[1]
    assert np.array_equal(made(quadrants(9, 9)).pixels, array(quadrants(9, 9)))


@pytest.mark.parametrize(
    ("calls", "wish", "expected"),
    [
        ((), {"width": 400, "height": 400}, (150, 150)),
        (("dpr(2)",), {"width": 200, "height": 200}, (150, 150)),
        (("dpr(2)",), {"width": 50, "height": 60}, (100, 120)),
        ((), {"width": 400, "height": 400, "smart": True}, (150, 150)),
        (("focal(0.9x0.5)",), {"width": 600, "height": 300}, (200, 100)),
        (("fill(red)",), {"width": 600, "height": 300}, (200, 100)),
    ],
)
def test_fit_min_of_a_smaller_image_keeps_the_boxs_proportions(
    calls: tuple[str, ...], wish: dict[str, Any], expected: tuple[int, int]
) -> None:
    for kind in (".png", ".jpg", ".webp"):
        transform = asked(*calls, fit=Fit.MIN, **wish)
        assert render(encoded(gradient(200, 150), kind), transform, to=Format.PNG).size == expected


def test_fit_min_with_an_alignment_keeps_that_side() -> None:
    halves = quadrants(200, 100, [RED, BLUE, RED, BLUE])
    for halign, colour in ((HAlign.LEFT, RED), (HAlign.RIGHT, BLUE)):
        transform = asked(fit=Fit.MIN, width=400, height=400, halign=halign)
        assert render(encoded(halves), transform, to=Format.PNG).pixels[50, 50].tolist() == list(colour)


# -- damaged originals -------------------------------------------------------------------------------------


def _cut(suffix: str, share: float, **options: Any) -> bytes:
    whole = encoded(gradient(240, 160), suffix, **options)
    return whole[: int(len(whole) * share)]


def _header_of_jpeg(**options: Any) -> bytes:
    """A JPEG up to its first byte of pixels (ITU-T T.81 B.2.3)."""
    whole = encoded(gradient(240, 160), ".jpg", **options)
    scan = whole.index(b"\xff\xda")
    return whole[: scan + 2 + int.from_bytes(whole[scan + 2 : scan + 4], "big")]


def _tiff(rows: int, share: float) -> bytes:
    """A grey TIFF of ten strips whose directory stands before its pixels (TIFF 6.0 §2), cut off."""
    strips, side = 10, rows // 10
    start = 8 + 2 + 9 * 12 + 4
    lists = start + strips * 4 * 2
    entries = [
        (256, 3, 1, 100), (257, 3, 1, rows), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
        (273, 4, strips, start), (277, 3, 1, 1), (278, 3, 1, side), (279, 4, strips, start + strips * 4),
    ]  # fmt: skip
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *each) for each in entries)
    offsets = struct.pack("<10I", *(lists + index * side * 100 for index in range(strips)))
    pixels = np.full((rows, 100), 200, np.uint8).tobytes()
    whole = b"II*\0" + struct.pack("<I", 8) + directory + bytes(4) + offsets
    return whole + struct.pack("<10I", *[side * 100] * strips) + pixels[: int(len(pixels) * share)]


_SHOWN = {
    "JPEG": _cut(".jpg", 0.6),
    "JPEG without its end": encoded(gradient(240, 160), ".jpg")[:-2],
    "progressive JPEG": _cut(".jpg", 0.6, interlace=True),
    "PNG": _cut(".png", 0.6),
    "GIF": _cut(".gif", 0.6),
    "TIFF": _tiff(100, 0.6),
}


@pytest.mark.parametrize("kind", _SHOWN)
@pytest.mark.parametrize("calls", [(), ("blur(1)",)], ids=["streams", "whole"])
def test_render_of_a_cut_off_source_shows_what_decodes(kind: str, calls: tuple[str, ...]) -> None:
    with pytest.raises(BrokenImage):
        made(_SHOWN[kind], *calls, width=60)
    shown = made(_SHOWN[kind], *calls, width=60, show_damaged=True)
    assert shown.rendered.damaged
    assert shown.size[0] == 60
    top = shown.pixels[:10].astype(int)
    if kind != "TIFF":
        sound = made(
            encoded(gradient(240, 160), ".gif") if kind == "GIF" else gradient(240, 160), *calls, width=60
        )
        assert np.abs(top[..., :3] - sound.pixels[:10, :, :3]).mean() < 12
    else:
        assert (top[..., 0] == 200).all()


def test_render_of_a_uniform_jpeg_without_its_end_shows_it() -> None:
    shown = made(encoded(plain(90, 60, GREEN), ".jpg")[:-2], show_damaged=True)
    assert np.ptp(shown.pixels, axis=(0, 1)).max() == 0


@pytest.mark.parametrize(
    "data",
    [
        _header_of_jpeg(),
        _header_of_jpeg(interlace=True),
        _cut(".png", 0.02),
        _cut(".webp", 0.5),
        _cut(".avif", 0.5),
        _tiff(100, 0),
    ],
    ids=["JPEG", "progressive JPEG", "PNG", "WebP", "AVIF", "TIFF"],
)
def test_render_of_a_source_of_which_nothing_decodes_is_broken(data: bytes) -> None:
    with pytest.raises(BrokenImage):
        made(data, show_damaged=True)


def test_render_of_a_sound_source_is_not_called_damaged() -> None:
    assert not made(gradient(90, 60), show_damaged=True).rendered.damaged


def test_render_of_a_damaged_source_with_a_damaged_overlay_fails_that_transform_only() -> None:
    overlay = encoded(noise(60, 60))
    with pytest.raises(TransformFailed):
        made(
            _SHOWN["JPEG"],
            "watermark(mark.png,0,0)",
            overlays={"mark.png": overlay[: len(overlay) // 2]},
            show_damaged=True,
        )
