"""Words are held as they were said, and mean what imagor means by them."""

from __future__ import annotations

import pytest

from imgproxy.dialects.presets import NO_PRESETS
from imgproxy.dialects.request import Params, merge, transform
from imgproxy.errors import BadArgument
from imgproxy.image.gravity import HAlign, Region, VAlign
from imgproxy.image.transform import Fit, Limits, Transform, Trim

PRESETS = {
    "card": Params(fit_in=True, width=300, height=200, filters=(("quality", "80"),)),
    "avatar": Params(width=80, height=80, smart=True),
}


def meaning(params: Params) -> Transform:
    return transform(params, presets=PRESETS, limits=Limits())


def test_nothing_said_is_nothing_shown() -> None:
    assert Params().as_json() == {}


def test_what_was_said_is_shown_under_imagors_names() -> None:
    params = Params(
        params=True,
        width=300,
        crop_left=10.0,
        crop_right=0.5,
        filters=(("blur", "5"), ("grayscale", "")),
        image="a.jpg",
        path="300x0/a.jpg",
    )
    assert params.as_json() == {
        "params": True,
        "path": "300x0/a.jpg",
        "crop_left": 10,
        "crop_right": 0.5,
        "width": 300,
        "filters": [{"name": "blur", "args": "5"}, {"name": "grayscale", "args": ""}],
        "image": "a.jpg",
    }


def test_whole_numbers_are_shown_without_a_dot() -> None:
    assert isinstance(Params(crop_left=10.0).as_json()["crop_left"], int)


def test_text_that_belongs_to_no_filter_is_not_imagors_to_show() -> None:
    assert Params(ignored="grayscale").as_json() == {}


def test_options_and_name_are_the_two_halves() -> None:
    params = Params(
        params=True, hash="h", unsafe=True, path="p", meta=True, width=3, base64_image=True, image="a"
    )
    assert params.options == Params(width=3)
    assert params.named == Params(
        params=True, hash="h", unsafe=True, path="p", meta=True, base64_image=True, image="a"
    )


@pytest.mark.parametrize(
    ("params", "fit"),
    [
        (Params(width=9, height=9), Fit.COVER),
        (Params(width=9, height=9, stretch=True), Fit.STRETCH),
        (Params(width=9, height=9, fit_in=True), Fit.INSIDE),
        (Params(width=9, height=9, fit_in=True, stretch=True), Fit.INSIDE),
        (Params(width=9, height=9, fit_in=True, full_fit_in=True), Fit.OUTSIDE),
        (Params(width=9, height=9, fit_min=True), Fit.MIN),
    ],
)
def test_every_fit_has_its_word(params: Params, fit: Fit) -> None:
    assert meaning(params).fit is fit


def test_as_json_shows_fit_min() -> None:
    assert Params(width=9, height=9, fit_min=True).as_json() == {"fit_min": True, "width": 9, "height": 9}


def test_merge_with_fit_min_overrules_the_base_fit_and_is_overruled() -> None:
    least, inside = Params(fit_min=True), Params(fit_in=True)
    assert merge(inside, least) == least
    assert merge(least, inside) == inside
    assert merge(least, Params(width=3)) == Params(fit_min=True, width=3)


def test_fit_in_does_not_enlarge_and_a_plain_size_does() -> None:
    assert not meaning(Params(width=9, fit_in=True)).upscale
    assert meaning(Params(width=9)).upscale


def test_a_crop_of_nothing_is_no_crop() -> None:
    assert meaning(Params()).crop is None
    assert meaning(Params(crop_right=10)).crop == Region(0, 0, 10, 0)


def test_alignment_flips_and_trim_come_through() -> None:
    wish = meaning(
        Params(width=9, height=9, h_align="left", v_align="bottom", h_flip=True, trim=True, trim_tolerance=7)
    )
    assert (wish.halign, wish.valign, wish.flip_h, wish.flip_v) == (HAlign.LEFT, VAlign.BOTTOM, True, False)
    assert wish.trim == Trim("top-left", 7)


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        (Params(width=8193), "width: 8193 pixels are asked for, at most 8192 are allowed"),
        (Params(height=2**63 - 1), "height: "),
        (Params(padding_left=9000), "padding: "),
        (Params(trim=True, trim_tolerance=443), "trim: a tolerance of at most 442"),
        (Params(filters=(("nonsense", ""),)), "filters: 'nonsense' is not a filter"),
        (Params(filters=(("", ""),)), "filters: '' is not a filter"),
        (Params(filters=(("blur", "much"),)), "blur: radius: a number from 0 to 150"),
        (Params(filters=(("grayscale", ""),) * 21), "filters: at most 20 are allowed, 21 given"),
        (
            Params(ignored="grayscale"),
            "filters: name(arguments) is expected, 'grayscale' belongs to no filter",
        ),
        (Params(preset="none"), "preset: 'none' is not a preset; there are card, avatar"),
        (Params(filters=(("preset", "card"),) * 21), "preset: at most 3 are allowed, 21 given"),
    ],
)
def test_what_cannot_be_is_refused_by_name(params: Params, complaint: str) -> None:
    with pytest.raises(BadArgument) as refusal:
        meaning(params)
    assert str(refusal.value).startswith(complaint)


def test_a_deployment_without_presets_says_so() -> None:
    with pytest.raises(BadArgument, match="there are none"):
        transform(Params(preset="card"), presets=NO_PRESETS, limits=Limits())


def test_a_preset_means_the_same_as_segment_and_as_filter() -> None:
    assert meaning(Params(preset="card")) == meaning(Params(filters=(("preset", "card"),)))
    assert meaning(Params(preset="card")) == meaning(PRESETS["card"])


def test_the_urls_own_words_win_over_the_preset() -> None:
    said = Params(preset="card", width=600, filters=(("quality", "50"),))
    assert meaning(said) == meaning(
        Params(fit_in=True, width=600, height=200, filters=(("quality", "80"), ("quality", "50")))
    )


def test_later_presets_lie_on_top_of_earlier_ones() -> None:
    both = meaning(Params(preset="card", filters=(("preset", "avatar"),)))
    assert (both.width, both.height, both.fit) == (80, 80, Fit.INSIDE)


@pytest.mark.parametrize(
    ("base", "over", "together"),
    [
        (Params(trim=True, trim_tolerance=9), Params(trim=True), Params(trim=True)),
        (Params(crop_left=9), Params(crop_top=1), Params(crop_top=1)),
        (Params(fit_in=True), Params(stretch=True), Params(stretch=True)),
        (Params(width=1, height=2), Params(height=3), Params(width=1, height=3)),
        (Params(h_flip=True), Params(v_flip=True), Params(h_flip=True, v_flip=True)),
        (Params(padding_left=9), Params(padding_top=1), Params(padding_top=1)),
        (Params(smart=True), Params(h_align="left"), Params(h_align="left")),
        (Params(h_align="left"), Params(smart=True), Params(h_align="left", smart=True)),
        (Params(filters=(("a", ""),)), Params(filters=(("b", ""),)), Params(filters=(("a", ""), ("b", "")))),
        (Params(width=1), Params(image="a", hash="h"), Params(width=1, image="a", hash="h")),
    ],
)
def test_merging_keeps_what_is_not_overruled(base: Params, over: Params, together: Params) -> None:
    assert merge(base, over) == together
