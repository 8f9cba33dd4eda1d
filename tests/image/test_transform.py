"""A transform has one normal form, and its text is its name."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgproxy.errors import BadArgument
from imgproxy.image.filters import parse_call
from imgproxy.image.filters.base import FilterCall
from imgproxy.image.gravity import HAlign, Region, VAlign
from imgproxy.image.transform import Fit, Limits, Padding, Transform, Trim, build


def made(wish: Transform, *calls: str, fit_in: bool = False, limits: Limits | None = None) -> Transform:
    parsed = [parse_call(*call.removesuffix(")").split("(", 1)) for call in calls]
    return build(wish, parsed, fit_in=fit_in, limits=limits or Limits())


COVER = Transform(width=300, height=200)
INSIDE = replace(COVER, fit=Fit.INSIDE)


def test_a_wish_for_nothing_has_an_empty_name() -> None:
    assert made(Transform()) == Transform()
    assert Transform().canonical() == ""


@pytest.mark.parametrize(
    ("wish", "calls", "same"),
    [
        (COVER, ["blur(0)"], COVER),
        (COVER, ["brightness(0)", "contrast(0)", "saturation(0)", "hue(360)", "rgb(0,0,0)"], COVER),
        (COVER, ["rotate(0)", "proportion(1)", "round_corner(0)", "sharpen(-0.5)"], COVER),
        (COVER, ["upscale()"], COVER),
        (COVER, ["dpr(1)"], COVER),
        (COVER, ["no_upscale()", "upscale()"], COVER),
        (COVER, ["quality(10)", "quality(20)"], made(COVER, "quality(20)")),
        (replace(COVER, crop=Region(0, 0, 0, 0)), [], COVER),
        (replace(COVER, padding=Padding(1, 2, 3, 4)), [], COVER),
        (replace(COVER, halign=HAlign.LEFT, smart=True), [], replace(COVER, smart=True)),
        (replace(COVER, valign=VAlign.TOP, smart=True), ["focal(1,2)"], made(COVER, "focal(1,2)")),
        (Transform(width=300, smart=True, halign=HAlign.LEFT), ["focal(1,2)"], Transform(width=300)),
        (Transform(fit=Fit.STRETCH, adaptive=True), ["no_upscale()"], Transform()),
        (Transform(width=150, height=100), ["dpr(2)"], COVER),
        (replace(COVER, fit=Fit.MIN), ["no_upscale()"], replace(COVER, fit=Fit.MIN)),
        (Transform(fit=Fit.MIN, width=300), [], Transform(width=300, upscale=False)),
        (Transform(fit=Fit.MIN), [], Transform()),
    ],
)
def test_what_has_no_effect_is_left_away(wish: Transform, calls: list[str], same: Transform) -> None:
    assert made(wish, *calls) == same
    assert made(wish, *calls).canonical() == same.canonical()


def test_fit_in_enlarges_only_when_told_to() -> None:
    assert not made(INSIDE, fit_in=True).upscale
    assert made(INSIDE, "upscale()", fit_in=True).upscale
    assert made(replace(INSIDE, fit=Fit.OUTSIDE), fit_in=True).upscale
    assert not made(COVER, "no_upscale()").upscale


def test_every_length_grows_with_the_density_and_nothing_else_does() -> None:
    grown = made(
        replace(COVER, padding=Padding(1, 2, 3, 4), trim=Trim(tolerance=5), crop=Region(1, 2, 3, 4)),
        "fill(red)", "blur(2)", "round_corner(10)", "padding(red,1,2)", "brightness(10)", "dpr(2)",
    )  # fmt: skip
    assert (grown.width, grown.height, grown.padding) == (600, 400, Padding(2, 4, 6, 8))
    assert (grown.trim, grown.crop) == (Trim(tolerance=5), Region(1, 2, 3, 4))
    values = {call.name: call.values for call in grown.effects}
    assert values["blur"] == (4, None)
    assert values["round_corner"] == (20, None, None)
    assert values["padding"][1:] == (2, 4, None, None)
    assert values["brightness"] == (10,)


def test_no_side_is_scaled_to_nothing() -> None:
    assert made(Transform(width=1, height=1), "dpr(0.1)") == Transform(width=1, height=1)


@pytest.mark.parametrize(
    ("wish", "calls", "complaint"),
    [
        (Transform(width=8193), [], "width: 8193 pixels are asked for, at most 8192"),
        (Transform(height=2**63 - 1), [], "height: 9223372036854775807 pixels"),
        (Transform(width=5000), ["dpr(2)"], "width: 10000 pixels"),
        (Transform(padding=Padding(bottom=8193)), [], "padding: 8193 pixels"),
        (Transform(), ["grayscale()"] * 21, "filters: at most 20 are allowed, 21 given"),
    ],
)
def test_more_than_the_limits_is_refused(wish: Transform, calls: list[str], complaint: str) -> None:
    with pytest.raises(BadArgument) as refusal:
        made(wish, *calls)
    assert str(refusal.value).startswith(complaint)


def test_the_limits_are_the_deployments() -> None:
    with pytest.raises(BadArgument, match="at most 100 are allowed"):
        made(COVER, limits=Limits(max_side=100))
    with pytest.raises(BadArgument, match="at most 1 are allowed"):
        made(COVER, "grayscale()", "grayscale()", limits=Limits(max_filters=1))


def test_canonical_of_min_tells_the_fit_and_keeps_the_alignment() -> None:
    wish = made(replace(COVER, fit=Fit.MIN, halign=HAlign.LEFT))
    assert wish.canonical() == "fit=min;width=300;height=200;halign=left"


def test_the_order_of_effects_is_kept_and_that_of_options_is_not() -> None:
    assert made(COVER, "blur(1)", "grayscale()") != made(COVER, "grayscale()", "blur(1)")
    assert made(COVER, "quality(5)", "format(png)") == made(COVER, "format(png)", "quality(5)")


def test_further_objects_are_named_once_in_order_of_use() -> None:
    wish = made(COVER, "watermark(b.png)", "watermark(a.png)", "watermark(b.png,1)")
    assert wish.keys == ("b.png", "a.png")


def test_the_name_tells_every_field() -> None:
    wish = made(
        Transform(
            trim=Trim("bottom-right", 7), crop=Region(0.1, 0.25, 0.5, 1), fit=Fit.INSIDE, adaptive=True,
            width=300, height=200, flip_h=True, flip_v=True, padding=Padding(1, 2, 3, 4),
        ),
        "fill(none)", "watermark(a;b.png,-10,center,50,20,none)", "quality(80)", fit_in=True,
    )  # fmt: skip
    assert wish.canonical() == (
        "trim=bottom-right,7;crop=0.1,0.25,0.5,1;fit=fit-in;adaptive=True;upscale=False;width=300;height=200;"
        "flip_h=True;flip_v=True;padding=1,2,3,4;quality(80);fill(00000000,);"
        "watermark('a;b.png',far-10+0,center,50,20,'none')"
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("watermark(a%2Cb,0,0)", "watermark(a,b,0)"),
        ("watermark(a');grayscale('.png)", "watermark(a.png)"),
        ("watermark(a.png,10,10)", "watermark(a.png,-10,10)"),
        ("fill(red)", "fill(auto)"),
        ("blur(1,2)", "blur(1)"),
    ],
)
def test_different_images_have_different_names(one: str, other: str) -> None:
    assert made(COVER, one).canonical() != made(COVER, other).canonical()


WISHES = st.builds(
    Transform,
    trim=st.none() | st.builds(Trim, st.sampled_from(["top-left", "bottom-right"]), st.integers(0, 99)),
    crop=st.none() | st.builds(Region, *[st.integers(0, 9)] * 4),
    fit=st.sampled_from(Fit),
    adaptive=st.booleans(),
    width=st.integers(0, 4),
    height=st.integers(0, 4),
    halign=st.sampled_from(HAlign),
    valign=st.sampled_from(VAlign),
    smart=st.booleans(),
    flip_h=st.booleans(),
    padding=st.builds(Padding, *[st.integers(0, 2)] * 4),
)
CALLS = st.lists(
    st.sampled_from(
        ["fill(red)", "fill(blur)", "blur(0)", "blur(2)", "grayscale()", "focal(1,2)", "upscale()",
         "no_upscale()", "quality(80)", "page(2)", "rotate(90)", "watermark(a,1,2)", "watermark(a,-1,2)"]
    ),
    max_size=3,
)  # fmt: skip


@given(WISHES, CALLS, st.booleans())
def test_the_normal_form_is_normal(wish: Transform, calls: list[str], fit_in: bool) -> None:
    once = made(wish, *calls, fit_in=fit_in)
    upscale = ["upscale()"] if once.upscale else ["no_upscale()"]
    again = build(
        replace(once, effects=(), options=type(once.options)()),
        [parse_call(*call.removesuffix(")").split("(", 1)) for call in [*calls, *upscale]],
        fit_in=fit_in,
        limits=Limits(),
    )
    assert again == once


@given(WISHES, CALLS, WISHES, CALLS)
def test_names_are_equal_exactly_when_transforms_are(
    wish: Transform, calls: list[str], other: Transform, more: list[str]
) -> None:
    one, two = made(wish, *calls), made(other, *more)
    assert (one == two) is (one.canonical() == two.canonical())


def test_a_call_is_a_value() -> None:
    assert {FilterCall("blur", (1,)), FilterCall("blur", (1,))} == {FilterCall("blur", (1,))}
