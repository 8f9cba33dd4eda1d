"""Every size is a whole number, fits its box as asked, and lies within what there is."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from imgproxy.errors import BadArgument, ImageTooLarge
from imgproxy.image.formats import Format
from imgproxy.image.gravity import HAlign, Region, VAlign
from imgproxy.image.header import ImageHeader
from imgproxy.image.options import Options
from imgproxy.image.plan import Box, Ceiling, Plan, Size, check, frames, make, shrink, stored
from imgproxy.image.transform import Fit, Transform, Trim

CEILING = Ceiling(pixels=50_000_000, frames=200, side=8192)
SIDE = st.integers(1, 3000)
WISHED = st.integers(1, 2000)
ORIENTATION = st.integers(1, 8)
FACTS = st.builds(ImageHeader, st.just(Format.JPEG), SIDE, SIDE, orientation=ORIENTATION)


def shrunk(facts: ImageHeader, step: float) -> Size:
    """What jpegload gives: the blocks that are whole (libvips 8.18, jpeg2vips.c)."""
    return Size(max(1, int(facts.width // step)), max(1, int(facts.height // step)))


def planned(
    transform: Transform,
    facts: ImageHeader,
    *,
    loaded: Size | None = None,
    trim: Box | None = None,
    factor: float = 1,
) -> Plan:
    loaded = loaded or Size(facts.width, facts.height)
    return make(transform, facts, loaded=loaded, trim=trim, ceiling=CEILING, factor=factor)


def result(plan: Plan) -> Size:
    return plan.size if plan.crop is None else Size(plan.crop.width, plan.crop.height)


@given(FACTS, WISHED, WISHED)
def test_cover_fills_the_box_exactly(facts: ImageHeader, width: int, height: int) -> None:
    assert result(planned(Transform(width=width, height=height), facts)) == (width, height)


@given(FACTS, WISHED, WISHED)
def test_cover_without_enlarging_never_exceeds_box_or_source(
    facts: ImageHeader, width: int, height: int
) -> None:
    got = result(planned(Transform(width=width, height=height, upscale=False), facts))
    whole = facts.upright
    assert got.width <= min(width, whole[0])
    assert got.height <= min(height, whole[1])


@given(FACTS, WISHED, WISHED, st.booleans())
def test_inside_fits_and_touches_the_box(facts: ImageHeader, width: int, height: int, upscale: bool) -> None:
    wish = Transform(fit=Fit.INSIDE, width=width, height=height, upscale=upscale)
    got = result(planned(wish, facts))
    assert got.width <= width
    assert got.height <= height
    if upscale:
        assert got.width == width or got.height == height
    else:
        assert got.width <= facts.upright[0]
        assert got.height <= facts.upright[1]


@given(FACTS, WISHED, WISHED)
def test_outside_covers_the_box_and_touches_it(facts: ImageHeader, width: int, height: int) -> None:
    got = result(planned(Transform(fit=Fit.OUTSIDE, width=width, height=height), facts))
    assert got.width >= width
    assert got.height >= height
    assert got.width == width or got.height == height


@given(FACTS, WISHED, WISHED)
def test_stretch_gives_exactly_the_box(facts: ImageHeader, width: int, height: int) -> None:
    assert result(planned(Transform(fit=Fit.STRETCH, width=width, height=height), facts)) == (width, height)


@given(FACTS, WISHED, st.sampled_from(Fit).filter(lambda fit: fit is not Fit.MIN))
def test_a_free_side_follows_from_the_other(facts: ImageHeader, length: int, fit: Fit) -> None:
    wide = planned(Transform(fit=fit, width=length), facts)
    high = planned(Transform(fit=fit, height=length), facts)
    across, down = facts.upright
    if down * length <= across * CEILING.side and fit is not Fit.OUTSIDE:
        assert result(wide).width == length
        assert abs(result(wide).height - max(1, down * length / across)) <= 1
    if across * length <= down * CEILING.side and fit is not Fit.OUTSIDE:
        assert result(high).height == length


@given(FACTS)
def test_without_a_size_the_image_stays_as_large_as_it_is(facts: ImageHeader) -> None:
    plan = planned(Transform(), facts)
    assert (plan.size, plan.crop, plan.extract, plan.scale) == (facts.upright, None, None, (1, 1))


@given(st.integers(1, 100_000), st.integers(1, 100_000))
def test_an_image_larger_than_an_answer_may_be_is_made_smaller(width: int, height: int) -> None:
    got = result(planned(Transform(), ImageHeader(Format.PNG, width, height)))
    assert max(got) <= CEILING.side


@given(SIDE, SIDE, WISHED, WISHED)
def test_an_adaptive_box_turns_with_the_image(
    width: int, height: int, box_width: int, box_height: int
) -> None:
    assume(width != height and box_width != box_height)
    wish = Transform(fit=Fit.INSIDE, adaptive=True, width=box_width, height=box_height)
    box = planned(wish, ImageHeader(Format.PNG, width, height)).box
    assert sorted(box) == sorted((box_width, box_height))
    assert (box.width > box.height) is (width > height)


EDGES = st.tuples(SIDE, SIDE, st.integers(0, 4000), st.integers(0, 4000)).map(lambda each: Region(*each))
FRACTIONS = st.tuples(*[st.floats(0, 0.99)] * 2, *[st.floats(0, 1)] * 2).map(lambda each: Region(*each))
WISHES = st.builds(
    Transform,
    crop=st.none() | EDGES | FRACTIONS,
    fit=st.sampled_from([Fit.COVER, Fit.INSIDE, Fit.STRETCH]),
    adaptive=st.booleans(),
    upscale=st.booleans(),
    width=st.integers(0, 2000),
    height=st.integers(0, 2000),
    halign=st.sampled_from(HAlign),
    valign=st.sampled_from(VAlign),
    smart=st.booleans(),
    options=st.builds(Options, focal=st.just(()) | st.tuples(FRACTIONS)),
)


def within(box: Box, size: Size) -> bool:
    return (
        box.left >= 0
        and box.top >= 0
        and box.width >= 1
        and box.height >= 1
        and box.left + box.width <= size.width
        and box.top + box.height <= size.height
    )


@given(WISHES, FACTS, st.sampled_from([1, 2, 4, 8]))
def test_every_box_lies_within_its_image_and_none_is_empty(
    wish: Transform, facts: ImageHeader, step: int
) -> None:
    loaded = shrunk(facts, step)
    try:
        plan = planned(wish, facts, loaded=loaded, factor=step)
    except BadArgument as refusal:
        assert str(refusal).startswith("crop: ")  # noqa: PT017  not every crop leaves nothing
        return
    assert plan.extract is None or within(plan.extract, loaded)
    assert plan.crop is None or within(plan.crop, plan.size)
    assert min(plan.size) >= 1
    assert min(plan.scale) > 0
    assert max(result(plan)) <= CEILING.side


@given(WISHES, FACTS, st.sampled_from([1, 2, 4, 8]))
def test_the_scale_gives_the_planned_size_as_libvips_rounds(
    wish: Transform, facts: ImageHeader, step: int
) -> None:
    loaded = shrunk(facts, step)
    try:
        plan = planned(wish, facts, loaded=loaded, factor=step)
    except BadArgument:
        return
    part = loaded if plan.extract is None else Size(plan.extract.width, plan.extract.height)
    across = max(1, math.floor(part.width * plan.scale[0] + 0.5))
    down = max(1, math.floor(part.height * plan.scale[1] + 0.5))
    assert plan.size == ((down, across) if facts.sideways else (across, down))


@given(WISHES, FACTS, st.sampled_from([1, 2, 4, 8]))
def test_make_spans_the_very_part_that_is_wanted(wish: Transform, facts: ImageHeader, step: int) -> None:
    loaded = shrunk(facts, step)
    assume(min(facts.width, facts.height) >= step)
    try:
        plan = planned(wish, facts, loaded=loaded, factor=step)
        full = planned(wish, facts)
    except BadArgument:
        return
    for axis in (0, 1):
        small, large = (plan.across, full.across) if axis == 0 else (plan.down, full.down)
        left = plan.extract[axis] if plan.extract else 0
        begin = full.extract[axis] if full.extract else 0
        assert math.isclose((left + small.start) * step, begin, abs_tol=1e-3)
        assert math.isclose(small.length * step, large.length, rel_tol=1e-6, abs_tol=1e-3)
        assert small.target == large.target
        assert small.start >= 0 or left + 1 == loaded[axis]


def upright(picture: np.ndarray, orientation: int) -> np.ndarray:
    """Turn a stored image as EXIF 2.32 says its 0th row and column lie."""
    return {
        1: picture,
        2: np.fliplr(picture),
        3: np.rot90(picture, 2),
        4: np.flipud(picture),
        5: picture.T,
        6: np.rot90(picture, -1),
        7: np.rot90(picture, 2).T,
        8: np.rot90(picture),
    }[orientation]


@given(st.integers(1, 9), st.integers(1, 9), ORIENTATION, st.data())
def test_an_upright_box_is_found_in_the_stored_image(
    width: int, height: int, orientation: int, data: st.DataObject
) -> None:
    picture = np.arange(width * height).reshape(height, width)
    shown = upright(picture, orientation)
    left, top = data.draw(st.integers(0, shown.shape[1] - 1)), data.draw(st.integers(0, shown.shape[0] - 1))
    wide, high = (
        data.draw(st.integers(1, shown.shape[1] - left)),
        data.draw(st.integers(1, shown.shape[0] - top)),
    )
    box = stored(Box(left, top, wide, high), orientation, Size(width, height))
    cut = picture[box.top : box.top + box.height, box.left : box.left + box.width]
    assert np.array_equal(upright(cut, orientation), shown[top : top + high, left : left + wide])


SIZED = st.builds(
    Transform,
    fit=st.sampled_from(Fit),
    upscale=st.booleans(),
    width=st.integers(0, 1000),
    height=st.integers(0, 1000),
)


@given(SIZED, FACTS, st.booleans())
def test_shrink_of_jpeg_leaves_a_reserve_for_the_resize(
    wish: Transform, facts: ImageHeader, exact: bool
) -> None:
    factor = shrink(wish, facts, CEILING, exact=exact)
    assert factor in (1, 2, 4, 8)
    if factor > 1:
        plan = planned(wish, facts, loaded=shrunk(facts, factor), factor=factor)
        for span in (plan.across, plan.down):
            assert span.length >= (2 if exact else 1.25) * span.target - 1e-6


@given(SIZED, FACTS)
def test_shrink_of_jpeg_loses_at_most_a_third_of_a_result_pixel(wish: Transform, facts: ImageHeader) -> None:
    factor = shrink(wish, facts, CEILING, exact=False)
    plan = planned(wish, facts, loaded=shrunk(facts, factor), factor=factor)
    for side, span in ((facts.width, plan.across), (facts.height, plan.down)):
        assert side % factor * span.target / side <= 1 / 3 + 1e-6


@given(SIZED, FACTS)
def test_shrink_takes_the_largest_step_that_is_allowed(wish: Transform, facts: ImageHeader) -> None:
    factor = shrink(wish, facts, CEILING, exact=False)
    target, whole = planned(wish, facts).size, facts.upright
    residual = min(whole[0] / target.width, whole[1] / target.height)
    further = 2 * factor
    if factor < 8 and facts.width % further == facts.height % further == 0:
        assert residual < 1.25 * further


@given(SIZED, SIDE, SIDE, st.booleans())
def test_shrink_of_webp_is_whole_or_half_and_leaves_one_resize(
    wish: Transform, width: int, height: int, exact: bool
) -> None:
    facts = ImageHeader(Format.WEBP, width, height)
    factor = shrink(wish, facts, CEILING, exact=exact)
    assert factor >= 1
    assert (2 * factor).is_integer() if isinstance(factor, float) else factor == 1
    assert min(width, height) / factor >= 1
    if factor > 1:
        target = planned(wish, facts).size
        assert min(width / target.width, height / target.height) / factor >= (2 if exact else 1.5) - 1e-9


@pytest.mark.parametrize("format_", [Format.JPEG, Format.WEBP, Format.SVG])
@given(SIZED, SIDE, SIDE, st.booleans(), st.booleans())
def test_shrink_never_takes_a_side_away(
    format_: Format, wish: Transform, width: int, height: int, exact: bool, imagor: bool
) -> None:
    facts = ImageHeader(format_, width, height)
    factor = shrink(wish, facts, CEILING, exact=exact, imagor=imagor)
    assert min(width, height) / factor >= 1


@given(SIZED, SIDE, SIDE)
def test_a_drawing_is_drawn_at_its_size(wish: Transform, width: int, height: int) -> None:
    facts = ImageHeader(Format.SVG, width, height)
    factor = shrink(wish, facts, CEILING, exact=False)
    target = planned(wish, facts).size
    if factor < min(width, height):  # no side is drawn as nothing
        assert abs(max(target.width / width, target.height / height) - 1 / factor) <= 1 / min(width, height)


@pytest.mark.parametrize(
    ("facts", "wish"),
    [
        (ImageHeader(Format.PNG, 1000, 1000), Transform(width=10)),
        (ImageHeader(Format.AVIF, 1000, 1000), Transform(width=10)),
        (ImageHeader(Format.WEBP, 1000, 1000, pages=2), Transform(width=10)),
        (ImageHeader(Format.JPEG, 1000, 1000), Transform(width=10, trim=Trim())),
        (ImageHeader(Format.JPEG, 1000, 1000), Transform(width=2000)),
        (ImageHeader(Format.WEBP, 1000, 1000), Transform(width=2000)),
    ],
)
def test_nothing_shrinks_while_loading_where_it_cannot_or_must_not(
    facts: ImageHeader, wish: Transform
) -> None:
    assert shrink(wish, facts, CEILING, exact=False) == 1


def test_shrink_as_imagor_leaves_a_crop_alone() -> None:
    facts, wish = ImageHeader(Format.JPEG, 1000, 1000), Transform(width=10, crop=Region(1, 1, 900, 900))
    assert shrink(wish, facts, CEILING, exact=True, imagor=True) == 1
    assert shrink(wish, facts, CEILING, exact=False) == 8


@given(WISHES, SIDE, SIDE, st.integers(2, 5))
def test_frames_of_an_animation_stay_whole(wish: Transform, width: int, height: int, pages: int) -> None:
    facts = ImageHeader(Format.GIF, width, height, pages=pages)
    try:
        plan = planned(wish, facts)
    except BadArgument:
        return
    high = height if plan.extract is None else plan.extract.height
    strip = high * pages * plan.scale[1]
    assert math.floor(strip + 0.5) == plan.size.height * pages


@pytest.mark.parametrize(
    ("facts", "output", "options", "loaded"),
    [
        (ImageHeader(Format.GIF, 9, 9, pages=10), Format.WEBP, Options(), (0, 10)),
        (ImageHeader(Format.GIF, 9, 9, pages=10), Format.GIF, Options(max_frames=3), (0, 3)),
        (ImageHeader(Format.GIF, 9, 9, pages=10), Format.GIF, Options(max_frames=99), (0, 10)),
        (ImageHeader(Format.GIF, 9, 9, pages=10), Format.GIF, Options(page=4, max_frames=1), (3, 1)),
        (ImageHeader(Format.GIF, 9, 9, pages=10), Format.JPEG, Options(), (0, 1)),
        (ImageHeader(Format.TIFF, 9, 9, pages=10), Format.WEBP, Options(page=2), (1, 1)),
    ],
)
def test_as_many_frames_are_loaded_as_can_be_shown(
    facts: ImageHeader, output: Format, options: Options, loaded: tuple[int, int]
) -> None:
    assert frames(Transform(options=options), facts, output) == loaded


def test_a_page_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadArgument, match="page: the source image has 1, not 2"):
        frames(Transform(options=Options(page=2)), ImageHeader(Format.PNG, 9, 9), Format.PNG)


@pytest.mark.parametrize(
    ("facts", "count", "complaint"),
    [
        (ImageHeader(Format.PNG, 10_000, 5_001), 1, "10000×5001 pixels"),
        (ImageHeader(Format.GIF, 1000, 1000), 51, "1000×1000×51 frames pixels"),
        (ImageHeader(Format.GIF, 1, 1), 201, "201 frames, at most 200"),
    ],
)
def test_more_than_we_decode_is_refused(facts: ImageHeader, count: int, complaint: str) -> None:
    with pytest.raises(ImageTooLarge, match=complaint):
        check(facts, count, CEILING)


def test_what_just_fits_is_decoded() -> None:
    check(ImageHeader(Format.PNG, 10_000, 5_000), 1, CEILING)
    check(ImageHeader(Format.GIF, 1, 1), 200, CEILING)


def test_a_crop_stops_one_pixel_short_of_the_edge_as_imagors_does() -> None:
    plan = planned(Transform(crop=Region(10, 20, 9999, 0)), ImageHeader(Format.PNG, 100, 50))
    assert plan.extract == Box(10, 20, 89, 29)


def test_a_crop_is_taken_within_the_trimmed_border() -> None:
    wish = Transform(trim=Trim(), crop=Region(5, 5, 50, 50))
    plan = planned(wish, ImageHeader(Format.PNG, 100, 100), trim=Box(20, 30, 60, 10))
    assert plan.extract == Box(20, 30, 30, 10)


@pytest.mark.parametrize("crop", [Region(100, 0, 0, 0), Region(50, 50, 50, 60), Region(0.5, 0.5, 0.25, 0.75)])
def test_a_crop_that_leaves_nothing_is_refused(crop: Region) -> None:
    with pytest.raises(BadArgument, match="crop: nothing is left of the source image of 100×100"):
        planned(Transform(crop=crop), ImageHeader(Format.PNG, 100, 100))


@pytest.mark.parametrize(
    ("wish", "crop"),
    [
        (Transform(halign=HAlign.LEFT), Box(0, 0, 100, 100)),
        (Transform(), Box(50, 0, 100, 100)),
        (Transform(halign=HAlign.RIGHT), Box(100, 0, 100, 100)),
        (Transform(options=Options(focal=(Region(0.3, 0.5, 0.3, 0.5),))), Box(10, 0, 100, 100)),
        (Transform(options=Options(focal=(Region(350, 0, 350, 0),))), Box(100, 0, 100, 100)),
        (Transform(options=Options(focal=(Region(0, 0, 0, 0),))), Box(0, 0, 100, 100)),
    ],
)
def test_what_hangs_over_is_cut_where_it_was_asked(wish: Transform, crop: Box) -> None:
    facts = ImageHeader(Format.PNG, 400, 200)
    assert planned(replace(wish, width=100, height=100), facts).crop == crop


def test_a_smart_crop_has_its_size_planned_and_its_place_found() -> None:
    plan = planned(Transform(width=100, height=100, smart=True), ImageHeader(Format.PNG, 400, 200))
    assert (plan.smart, result(plan)) == (True, (100, 100))
    assert not planned(Transform(width=100, height=50, smart=True), ImageHeader(Format.PNG, 400, 200)).smart


@given(FACTS, WISHED, WISHED)
def test_min_never_enlarges_and_is_the_largest_of_the_boxs_proportions(
    facts: ImageHeader, width: int, height: int
) -> None:
    plan = planned(Transform(fit=Fit.MIN, width=width, height=height), facts)
    got, whole = result(plan), Size(*facts.upright)
    assert max(plan.scale) <= 1
    assert got == plan.box
    assert got.width <= min(width, whole.width)
    assert got.height <= min(height, whole.height)
    shorter = min(1, whole.width / width, whole.height / height)
    assert abs(got.width - width * shorter) <= 1
    assert abs(got.height - height * shorter) <= 1
    assert got.width == min(width, whole.width) or got.height == min(height, whole.height)


@pytest.mark.parametrize(
    ("whole", "asked", "expected"),
    [
        ((200, 150), (400, 400), (150, 150)),
        ((1000, 500), (400, 400), (400, 400)),
        ((300, 1000), (600, 400), (300, 200)),
        ((1, 1000), (600, 400), (1, 1)),
        ((1000, 1), (1, 2000), (1, 1)),
    ],
)
def test_min_of_examples_has_the_size_that_peers_give(
    whole: tuple[int, int], asked: tuple[int, int], expected: tuple[int, int]
) -> None:
    wish = Transform(fit=Fit.MIN, width=asked[0], height=asked[1])
    assert result(planned(wish, ImageHeader(Format.JPEG, *whole))) == expected


def test_min_with_a_focal_point_keeps_it_in_the_smaller_box() -> None:
    wish = Transform(fit=Fit.MIN, width=400, height=400, options=Options(focal=(Region(0.9, 0.5, 0.9, 0.5),)))
    assert planned(wish, ImageHeader(Format.JPEG, 200, 150)).crop == (50, 0, 150, 150)


def test_min_with_gravity_keeps_that_side() -> None:
    wish = Transform(fit=Fit.MIN, width=400, height=400, halign=HAlign.RIGHT)
    assert planned(wish, ImageHeader(Format.JPEG, 200, 150)).crop == (50, 0, 150, 150)
