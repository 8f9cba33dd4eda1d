"""Presets are read once, tried once, and hold options alone."""

from __future__ import annotations

import pytest

from imgproxy.dialects import thumbor
from imgproxy.dialects.presets import check_only, parse
from imgproxy.dialects.request import Params
from imgproxy.errors import BadArgument
from imgproxy.image.transform import Limits

PRESETS = parse("card=fit-in/300x200/filters:quality(80);avatar=80x80/smart", limits=Limits())


def test_each_name_has_its_options() -> None:
    assert list(PRESETS) == ["card", "avatar"]
    assert PRESETS["card"] == Params(fit_in=True, width=300, height=200, filters=(("quality", "80"),))
    assert PRESETS["avatar"] == Params(width=80, height=80, smart=True)


@pytest.mark.parametrize("text", ["", " ", ";", " ; ;"])
def test_no_presets_are_no_presets(text: str) -> None:
    assert parse(text, limits=Limits()) == {}


def test_blanks_and_slashes_around_do_not_matter() -> None:
    assert parse(" a = /80x80/smart/ ;", limits=Limits()) == {"a": Params(width=80, height=80, smart=True)}


def test_presets_do_not_change() -> None:
    with pytest.raises(TypeError):
        PRESETS["card"] = Params()  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("card", "name=options is expected, with a name of letters and digits, not 'card'"),
        ("=80x80", "name=options is expected"),
        ("my card=80x80", "name=options is expected"),
        ("a/b=80x80", "name=options is expected"),
        ("a=80x80;a=90x90", "the preset 'a' is given twice"),
        ("a=80x80/photo.jpg", "the preset 'a': 'photo.jpg' is not an option, or not in its place"),
        ("a=smart/80x80", "the preset 'a': '80x80' is not an option, or not in its place"),
        ("a=unsafe/80x80", "the preset 'a': a preset holds options"),
        ("a=meta/80x80", "the preset 'a': a preset holds options"),
        ("a=params/80x80", "the preset 'a': a preset holds options"),
        ("a=VTAq7YIRbEXgtwAcsTMhAjvBuT8=/80x80", "the preset 'a': a preset holds options"),
        ("a=preset:b", "the preset 'a': a preset cannot name another"),
        ("a=filters:preset(b)", "the preset 'a': a preset cannot name another"),
        ("a=9000x1", "the preset 'a': width: 9000 pixels"),
        ("a=filters:blur(999)", "the preset 'a': blur: radius"),
        ("a=filters:nonsense()", "the preset 'a': filters: 'nonsense' is not a filter"),
        ("a=filters:blur", "the preset 'a': filters: name(arguments) is expected"),
        ("a=" + "x" * 9000, "the preset 'a': the URL has"),
    ],
)
def test_what_cannot_be_stops_the_start_in_one_line(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=r"\A[^\n]*\Z") as refusal:
        parse(text, limits=Limits())
    assert str(refusal.value).startswith(complaint)


@pytest.mark.parametrize(
    "path",
    [
        "preset:card/a",
        "meta/preset:card/a",
        "params/unsafe/preset:card/a",
        "preset:card/filters:preset(avatar)/a",
        "filters:preset(card):preset(avatar)/a",
        "preset:card/300x200",
        "preset:card/folder%2Fa%20b.jpg",
        "preset:card/b64:Zm9sZGVyL2E",
        f"{'s' * 27}=/preset:card/a",
    ],
)
def test_check_only_presets_allows_names_of_presets(path: str) -> None:
    check_only(thumbor.parse(path), PRESETS)


@pytest.mark.parametrize(
    "path",
    [
        "a",
        "unsafe/a",
        "meta/a",
        "meta/meta/preset:card/a",
        f"{'s' * 27}=/a",
        "3x3/a",
        "trim/a",
        "preset:card/smart/a",
        "preset:card/3x3/a",
        "preset:card/filters:blur(3)/a",
        "filters:preset(card):blur(3)/a",
        "filters:preset(card)blur/a",
        # options that change nothing
        "preset:card/0x0/a",
        "preset:card/x/a",
        "preset:card/0x0:0x0/a",
        "preset:card/filters:/a",
        "filters:preset(card):/a",
        "filters:preset(card)::/a",
        "filters::preset(card)/a",
        # an image that the client chooses
        "preset:card/color:red",
        "preset:card/b64:Y29sb3I6cmVk",
    ],
)
def test_check_only_presets_refuses_everything_else(path: str) -> None:
    with pytest.raises(BadArgument, match=r"only presets are allowed here: .* with card, avatar"):
        check_only(thumbor.parse(path), PRESETS)
